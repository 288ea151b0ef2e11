//! Signatures of webhooks, as Standard Webhooks says.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// What messages are signed with.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Reads a secret as Standard Webhooks writes it.
    ///
    /// # Errors
    /// What it lacks.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bytes = text
            .strip_prefix("whsec_")
            .and_then(|rest| BASE64.decode(rest).ok())
            .ok_or("it must be `whsec_` and base64: echo whsec_$(openssl rand -base64 32)")?;
        match bytes.len() {
            24..=64 => Ok(Self(bytes)),
            length => Err(format!("it has {length} bytes; it needs 24 to 64")),
        }
    }

    /// `v1,…`: the signature of a message.
    pub fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_standards() {
        // From the specification's reference implementations.
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = r#"{"test": 2432232314}"#;
        assert_eq!(
            secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn a_secret_that_anybody_could_guess_is_refused() {
        for bad in ["", "secret", "whsec_", "whsec_c2hvcnQ=", "whsec_!!!!"] {
            assert!(Secret::parse(bad).is_err(), "{bad}");
        }
        let long = format!("whsec_{}", BASE64.encode([7; 64]));
        assert!(Secret::parse(&long).is_ok());
    }
}
