//! Tells the linker how much memory the module may have.

/// Of the 128 MB of an isolate, bytes; worker-edge/build.rs has the Worker's own share.
const MEMORY: u32 = 88 << 20;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32") {
        println!("cargo:rustc-cdylib-link-arg=--max-memory={MEMORY}");
    }
}
