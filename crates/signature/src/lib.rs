//! What an edge function signs and a server checks, so that nobody goes round the edge.
//!
//! The header [`HEADER`] holds `t=TIME, n=NONCE, c=CALLER, r=RIGHTS, s=SIGNATURE`. The signature is HMAC-SHA256 (RFC
//! 2104), in hexadecimal, over [`VERSION`] and then method, path with query, and the other four parts, each on a line
//! of its own. The body isn't signed: it is passed on while it arrives. What protects it is that a header is good for
//! one request only and [`TOLERANCE`] seconds; whoever checks must remember the nonce that long, on both sides of now.

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The header's name.
pub const HEADER: &str = "x-maoocr-edge";
/// Begins what is signed, so that no signature for something else can be used here.
pub const VERSION: &str = "maoocr-edge-1";
/// Seconds by which the clocks may differ, the way included.
pub const TOLERANCE: u64 = 30;
/// Bytes a secret needs at least.
pub const SHORTEST_SECRET: usize = 32;

const LONGEST_NAME: usize = 128;

/// What is vouched for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Claim<'a> {
    /// Seconds since 1970.
    pub time: u64,
    /// Never used twice: 16 to 128 characters of `A-Z a-z 0-9 _ . : -`.
    pub nonce: &'a str,
    /// Who calls, empty where that isn't known: at most 128 of the same characters.
    pub caller: &'a str,
    /// What the caller may do, names joined by `+`, of the same characters.
    pub rights: &'a str,
}

/// Why a request isn't believed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The header isn't written as it must be.
    #[error("the header `{HEADER}` is not written as `t=…, n=…, c=…, r=…, s=…`")]
    Malformed,
    /// Another secret, or another request.
    #[error("the signature in `{HEADER}` is not this request's")]
    Forged,
    /// Too old, or from the future.
    #[error(
        "the signature in `{HEADER}` is {0} s away from this machine's time; {TOLERANCE} are allowed"
    )]
    Expired(u64),
}

/// The header's value for a request of this method and path (with its query, as it will be sent). None where a part
/// has characters it may not have.
pub fn sign(secret: &[u8], method: &str, path: &str, claim: &Claim) -> Option<String> {
    let Claim {
        time,
        nonce,
        caller,
        rights,
    } = claim;
    let sound = is_nonce(nonce) && is_name(caller) && is_list(rights) && !path.contains('\n');
    sound.then(|| {
        let tag = mac(secret, method, path, claim).finalize().into_bytes();
        let tag: String = tag.iter().map(|b| format!("{b:02x}")).collect();
        format!("t={time}, n={nonce}, c={caller}, r={rights}, s={tag}")
    })
}

/// The claim of a header, where one of the secrets made it for this very request and not long ago.
pub fn verify<'a>(
    secrets: &[impl AsRef<[u8]>],
    method: &str,
    path: &str,
    header: &'a str,
    now: u64,
) -> Result<Claim<'a>, Refusal> {
    let (claim, tag) = parse(header).ok_or(Refusal::Malformed)?;
    // The secret first: nobody else learns what this machine's clock says. Each comparison takes the same time.
    let known = secrets
        .iter()
        .map(|secret| mac(secret.as_ref(), method, path, &claim).verify_slice(&tag))
        .fold(false, |known, result| known | result.is_ok());
    if !known {
        return Err(Refusal::Forged);
    }
    match claim.time.abs_diff(now) {
        apart if apart > TOLERANCE => Err(Refusal::Expired(apart)),
        _ => Ok(claim),
    }
}

fn mac(secret: &[u8], method: &str, path: &str, claim: &Claim) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    let time = claim.time.to_string();
    let lines = [
        VERSION,
        method,
        path,
        &time,
        claim.nonce,
        claim.caller,
        claim.rights,
    ];
    for line in lines {
        mac.update(line.as_bytes());
        mac.update(b"\n");
    }
    mac
}

fn parse(header: &str) -> Option<(Claim<'_>, [u8; 32])> {
    let mut parts = header.split(", ");
    let mut part = |name: &str| parts.next()?.strip_prefix(name)?.strip_prefix('=');
    let claim = Claim {
        time: part("t")?.parse().ok()?,
        nonce: part("n").filter(|n| is_nonce(n))?,
        caller: part("c").filter(|c| is_name(c))?,
        rights: part("r").filter(|r| is_list(r))?,
    };
    let tag = bytes(part("s")?)?;
    parts.next().is_none().then_some((claim, tag))
}

fn bytes(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(bytes)
}

fn is_nonce(text: &str) -> bool {
    text.len() >= 16 && is_name(text)
}

fn is_name(text: &str) -> bool {
    text.len() <= LONGEST_NAME && text.bytes().all(is_plain)
}

fn is_list(text: &str) -> bool {
    text.len() <= LONGEST_NAME && text.bytes().all(|b| is_plain(b) || b == b'+')
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"a secret of thirty-two bytes, ok";
    const NOW: u64 = 1_800_000_000;
    const CLAIM: Claim = Claim {
        time: NOW,
        nonce: "0123456789abcdef",
        caller: "shop-1",
        rights: "recognize+jobs",
    };

    fn header() -> String {
        sign(SECRET, "POST", "/api/ocr/recognize?x=1", &CLAIM).unwrap()
    }

    fn check(method: &str, path: &str, header: &str, now: u64) -> Result<(), Refusal> {
        verify(
            &[b"an older secret".as_slice(), SECRET],
            method,
            path,
            header,
            now,
        )
        .map(drop)
    }

    #[test]
    fn what_was_signed_is_believed() {
        let header = header();
        let claim = verify(&[SECRET], "POST", "/api/ocr/recognize?x=1", &header, NOW).unwrap();
        assert_eq!(claim, CLAIM);
        assert_eq!(
            check("POST", "/api/ocr/recognize?x=1", &header, NOW),
            Ok(())
        );
    }

    /// HMAC-SHA256 of the same seven lines by another implementation (Python's `hmac`).
    #[test]
    fn the_signature_is_hmac_sha256() {
        let tag = header().rsplit_once("s=").unwrap().1.to_string();
        assert_eq!(
            tag,
            "b584ed77a43b22aa6f828f80376b8d5442d2ca7a5bfb067fff4a8828ee027cd1"
        );
    }

    #[test]
    fn another_request_is_not() {
        let header = header();
        for (method, path) in [
            ("GET", "/api/ocr/recognize?x=1"),
            ("POST", "/api/ocr/recognize"),
            ("POST", "/api/ocr/recognize?x=2"),
        ] {
            assert_eq!(check(method, path, &header, NOW), Err(Refusal::Forged));
        }
    }

    #[test]
    fn no_part_can_be_changed() {
        let header = header();
        for (from, to) in [
            ("t=1800000000", "t=1800000001"),
            ("n=0123456789abcdef", "n=0123456789abcdee"),
            ("c=shop-1", "c=shop-2"),
            ("c=shop-1", "c="),
            ("r=recognize+jobs", "r=recognize+jobs+admin"),
        ] {
            let changed = header.replace(from, to);
            assert_ne!(changed, header);
            let result = check("POST", "/api/ocr/recognize?x=1", &changed, NOW);
            assert_eq!(result, Err(Refusal::Forged), "{changed}");
        }
        assert_eq!(
            verify(
                &[b"another secret".as_slice()],
                "POST",
                "/api/ocr/recognize?x=1",
                &header,
                NOW
            ),
            Err(Refusal::Forged)
        );
        let none: [&[u8]; 0] = [];
        assert_eq!(
            verify(&none, "POST", "/api/ocr/recognize?x=1", &header, NOW),
            Err(Refusal::Forged)
        );
    }

    #[test]
    fn it_is_good_for_a_short_time() {
        let header = header();
        let at = |now| check("POST", "/api/ocr/recognize?x=1", &header, now);
        assert_eq!(at(NOW + TOLERANCE), Ok(()));
        assert_eq!(at(NOW - TOLERANCE), Ok(()));
        assert_eq!(at(NOW + TOLERANCE + 1), Err(Refusal::Expired(31)));
        assert_eq!(at(NOW - TOLERANCE - 1), Err(Refusal::Expired(31)));
    }

    #[test]
    fn anything_may_stand_in_the_header() {
        let good = header();
        for header in [
            "",
            "t=1",
            "t=, n=, c=, r=, s=",
            &good.replace("t=", "t=-"),
            &good.replace(", ", ","),
            &good.replace("0123456789abcdef", "short"),
            &good.replace("shop-1", "shop 1"),
            &good.replace("shop-1", "sh\u{f6}p"),
            &good[..good.len() - 1],
            &format!("{good}0"),
            &format!("{good}, x=1"),
            &good.replace("s=", "s=\u{e9}"),
        ] {
            assert_eq!(
                check("POST", "/api/ocr/recognize?x=1", header, NOW),
                Err(Refusal::Malformed),
                "{header}"
            );
        }
    }

    #[test]
    fn what_would_not_be_read_is_not_signed() {
        for claim in [
            Claim {
                nonce: "short",
                ..CLAIM
            },
            Claim {
                caller: "a, r=admin",
                ..CLAIM
            },
            Claim {
                rights: "a\nb",
                ..CLAIM
            },
        ] {
            assert_eq!(sign(SECRET, "GET", "/", &claim), None);
        }
    }
}
