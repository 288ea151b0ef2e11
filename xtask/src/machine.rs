//! Packages of the operating system.

use std::path::Path;

use anyhow::{Result, bail};

use crate::command::command;

/// What the machine is prepared for.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
pub enum Purpose {
    /// Building and running `maoocr`.
    Run,
    /// Python's packages too, Node.js among them.
    Python,
    /// The tests too.
    Test,
}

/// A Debian package, how to tell that it isn't needed, and why it would be.
struct Package {
    name: &'static str,
    there: fn() -> bool,
    why: &'static str,
    purpose: Purpose,
}

const PACKAGES: [Package; 23] = [
    Package {
        name: "build-essential",
        there: || on_path("cc"),
        why: "the linker that rustc calls",
        purpose: Purpose::Run,
    },
    Package {
        name: "python3",
        there: || on_path("python3"),
        why: "brings what is fetched as Python packages: models, Node.js, linters",
        purpose: Purpose::Python,
    },
    Package {
        name: "python3-venv",
        there: || {
            command("python3")
                .args(["-c", "import ensurepip, venv"])
                .succeeds()
        },
        why: "keeps them out of the system's Python",
        purpose: Purpose::Python,
    },
    Package {
        name: "chromium",
        there: || on_path("chromium"),
        why: "a browser that the web app is tested in",
        purpose: Purpose::Test,
    },
    Package {
        name: "firefox-esr",
        there: || on_path("firefox-esr"),
        why: "another one, driven over WebDriver BiDi",
        purpose: Purpose::Test,
    },
    Package {
        name: "webkit2gtk-driver",
        there: || on_path("WebKitWebDriver"),
        why: "WebKit, which is Safari's engine, with its driver",
        purpose: Purpose::Test,
    },
    Package {
        name: "xvfb",
        there: || on_path("Xvfb"),
        why: "a screen for WebKit where there is none",
        purpose: Purpose::Test,
    },
    Package {
        name: "fonts-noto-cjk",
        there: || Path::new("/usr/share/fonts/opentype/noto").is_dir(),
        why: "Chinese and Japanese in the browsers' pages",
        purpose: Purpose::Test,
    },
    Package {
        name: "postgresql",
        there: || on_path("postgres") || Path::new("/usr/lib/postgresql").is_dir(),
        why: "the server's other database",
        purpose: Purpose::Test,
    },
    Package {
        name: "redis-server",
        there: || on_path("redis-server"),
        why: "what the server's replicas share",
        purpose: Purpose::Test,
    },
    Package {
        name: "nginx",
        // Off the path of ordinary users.
        there: || on_path("nginx") || Path::new("/usr/sbin/nginx").is_file(),
        why: "stands before the server in deploy/",
        purpose: Purpose::Test,
    },
    Package {
        name: "prometheus",
        there: || on_path("prometheus") && on_path("promtool"),
        why: "evaluates the alerts and the dashboard of deploy/",
        purpose: Purpose::Test,
    },
    Package {
        name: "prometheus-alertmanager",
        there: || on_path("amtool"),
        why: "checks who hears of which alert in deploy/",
        purpose: Purpose::Test,
    },
    Package {
        name: "pgbouncer",
        there: || on_path("pgbouncer") || Path::new("/usr/sbin/pgbouncer").is_file(),
        why: "stands between the server and PostgreSQL in the tests",
        purpose: Purpose::Test,
    },
    Package {
        name: "shellcheck",
        there: || on_path("shellcheck"),
        why: "checks the script of deploy/",
        purpose: Purpose::Test,
    },
    Package {
        name: "systemd",
        there: || on_path("systemd-analyze"),
        why: "checks the unit of deploy/",
        purpose: Purpose::Test,
    },
    Package {
        name: "openssl",
        there: || on_path("openssl"),
        why: "makes a certificate for nginx in the tests",
        purpose: Purpose::Test,
    },
    Package {
        name: "qpdf",
        there: || on_path("qpdf"),
        why: "encrypts and takes apart PDFs in the tests",
        purpose: Purpose::Test,
    },
    Package {
        name: "poppler-utils",
        there: || on_path("pdftotext"),
        why: "finds in the tests what a PDF says",
        purpose: Purpose::Test,
    },
    Package {
        name: "tesseract-ocr",
        there: || on_path("tesseract"),
        why: "what OCRmyPDF asks for, whichever engine reads",
        purpose: Purpose::Test,
    },
    Package {
        name: "default-jre-headless",
        there: || on_path("java"),
        why: "runs Spark, which the Python package is tested on",
        purpose: Purpose::Test,
    },
    Package {
        name: "libvulkan1",
        there: || library("libvulkan.so.1"),
        why: "finds GPUs",
        purpose: Purpose::Test,
    },
    Package {
        name: "mesa-vulkan-drivers",
        there: || {
            Path::new("/usr/share/vulkan/icd.d")
                .read_dir()
                .is_ok_and(|mut d| d.next().is_some())
        },
        why: "a GPU in software, so that the GPU executor is tested on every machine",
        purpose: Purpose::Test,
    },
];

/// Installs what is missing, where this user may; else says what to run.
pub fn prepare(purpose: Purpose) -> Result<()> {
    if !cfg!(target_os = "linux") {
        // Elsewhere the compiler's own installer brings a linker, and GPU drivers come with the system.
        return Ok(());
    }
    let missing: Vec<&Package> = PACKAGES
        .iter()
        .filter(|p| p.purpose <= purpose && !(p.there)())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("This machine lacks:");
    for package in &missing {
        eprintln!("  {:<20} {}", package.name, package.why);
    }
    let names: Vec<&str> = missing.iter().map(|p| p.name).collect();
    install(&names)
}

/// Installs packages, where this user may; else says what to run.
pub fn install(names: &[&str]) -> Result<()> {
    let by_hand = format!(
        "apt-get update && apt-get install --no-install-recommends {}",
        names.join(" ")
    );
    if !on_path("apt-get") {
        bail!(
            "install these, or what your system calls them, and run this again: {}",
            names.join(", ")
        );
    }
    let as_root: &[&str] = if command("test").args(["-w", "/var/lib/dpkg"]).succeeds() {
        &[]
    } else if command("sudo").args(["-n", "true"]).succeeds() {
        &["sudo", "-n"]
    } else {
        bail!("installing them needs root; run this as root, then try again:\n  {by_hand}");
    };
    let apt = |arguments: &[&str]| {
        let words = [
            as_root,
            &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"],
            arguments,
        ]
        .concat();
        command(words[0]).args(&words[1..]).run()
    };
    // An index out of date is no reason to stop: the packages may still be there.
    if let Err(error) = apt(&["update"]) {
        eprintln!("xtask: {error:#}; going on with the package index as it is");
    }
    apt(&[&["install", "-y", "--no-install-recommends"][..], names].concat())
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn library(name: &str) -> bool {
    let folders = [
        "/usr/lib",
        "/usr/lib64",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
    ];
    folders
        .iter()
        .any(|folder| Path::new(folder).join(name).exists())
}
