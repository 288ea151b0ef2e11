//! Tells the linker how much memory the module may have.

/// Of the 128 MB of an isolate, bytes: a module that wants more fails in that one request, and the isolate lives on. What
/// reads has another 88 (worker-edge/reader).
const MEMORY: u32 = 28 << 20;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32") {
        println!("cargo:rustc-cdylib-link-arg=--max-memory={MEMORY}");
    }
}
