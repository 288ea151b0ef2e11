//! `maoocr health`: asks a server whether it can take work, for container images without another HTTP client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::Outcome;

/// Longest reason shown, bytes.
const SHOWN: u64 = 1000;

/// Options of `health`.
#[derive(Args)]
pub struct Arguments {
    /// URL to request [default: /ready at the address of --listen].
    url: Option<String>,
    /// Address on which the local server listens.
    #[arg(
        long,
        env = "MAOOCR_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8787"
    )]
    listen: SocketAddr,
    /// Seconds to wait for a response.
    #[arg(long, value_name = "S", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

/// Succeeds if the server is ready; otherwise reports why not.
pub fn run(arguments: Arguments) -> Result<Outcome> {
    let url = arguments.url.unwrap_or_else(|| ready(arguments.listen));
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .timeout_global(Some(Duration::from_secs(arguments.timeout)))
        .user_agent(concat!("maoocr/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let mut response = agent.get(&url).call().with_context(|| url.clone())?;
    let status = response.status();
    if status.is_success() {
        return Ok(Outcome::Complete);
    }
    let said = response.body_mut().with_config().limit(SHOWN);
    let said = said.lossy_utf8(true).read_to_string().unwrap_or_default();
    bail!("{url}: {status} {said}");
}

/// The readiness URL of a server that listens on `address`.
fn ready(address: SocketAddr) -> String {
    // A server that listens on every address also listens on the loopback one.
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}/ready", SocketAddr::new(ip, address.port()))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_server_on_every_address_is_asked_on_this_machine() {
        for (listen, url) in [
            ("0.0.0.0:8787", "http://127.0.0.1:8787/ready"),
            ("[::]:80", "http://[::1]:80/ready"),
            ("10.1.2.3:8787", "http://10.1.2.3:8787/ready"),
        ] {
            assert_eq!(ready(listen.parse().unwrap()), url);
        }
    }

    /// What `health` says of a server that answers with this.
    fn ask(answer: &'static str) -> Result<Outcome> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let outcome = run(Arguments {
            url: None,
            listen,
            timeout: 5,
        });
        assert!(server.join().unwrap().starts_with("GET /ready HTTP/1.1"));
        outcome
    }

    #[test]
    fn a_server_is_well_when_it_says_so() {
        assert!(ask("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").is_ok());
        for answer in [
            "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 9\r\n\r\nwarming up",
            "HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n",
            "SSH-2.0-OpenSSH_9.2\r\n",
        ] {
            assert!(ask(answer).is_err(), "{answer}");
        }
    }

    #[test]
    fn nobody_there_is_an_error_that_names_the_address() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = listener.local_addr().unwrap();
        drop(listener);
        let asked = Arguments {
            url: None,
            listen,
            timeout: 5,
        };
        let Err(error) = run(asked) else {
            panic!("nobody answered");
        };
        assert!(format!("{error:#}").contains(&listen.to_string()));
    }
}
