//! Which web pages may call.

/// What is answered to a page of this origin.
#[derive(Clone, Debug, PartialEq)]
pub enum Page {
    /// No page calls, or one of the same origin.
    Own,
    /// It may: the value of `access-control-allow-origin`.
    Allowed(String),
    /// It may not.
    Foreign,
}

/// What a page of `origin` may do at `host`, where `allowed` lists origins or has `*`.
pub fn page(origin: Option<&str>, host: Option<&str>, allowed: &[String]) -> Page {
    let Some(origin) = origin else {
        return Page::Own;
    };
    let authority = origin
        .strip_prefix("https://")
        .or_else(|| origin.strip_prefix("http://"));
    if authority.is_some() && authority == host {
        return Page::Own;
    }
    if allowed.iter().any(|a| a == "*") {
        return Page::Allowed("*".into());
    }
    match allowed.iter().any(|a| a == origin) {
        true => Page::Allowed(origin.into()),
        false => Page::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_told_apart() {
        let list = ["https://app.example".to_string()];
        let any = ["*".to_string()];
        let at =
            |origin: &str, allowed: &[String]| page(Some(origin), Some("ocr.example"), allowed);
        assert_eq!(page(None, Some("ocr.example"), &[]), Page::Own);
        assert_eq!(at("https://ocr.example", &[]), Page::Own);
        assert_eq!(at("https://ocr.example.evil.example", &list), Page::Foreign);
        assert_eq!(at("null", &list), Page::Foreign);
        assert_eq!(
            at("https://app.example", &list),
            Page::Allowed("https://app.example".into())
        );
        assert_eq!(at("http://app.example", &list), Page::Foreign);
        assert_eq!(at("null", &any), Page::Allowed("*".into()));
        assert_eq!(page(Some("garbage"), None, &[]), Page::Foreign);
    }
}
