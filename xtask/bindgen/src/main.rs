//! `xtask-bindgen web|nodejs|no-modules NAME MODULE FOLDER`: the module with its JavaScript and types, as NAME, into the folder.

use anyhow::{Result, bail};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [target, name, module, folder] = &arguments[..] else {
        bail!("usage: xtask-bindgen web|nodejs|no-modules NAME MODULE FOLDER");
    };
    let mut bindgen = Bindgen::new();
    match target.as_str() {
        "web" => bindgen.web(true)?,
        "nodejs" => bindgen.nodejs(true)?,
        "no-modules" => bindgen.no_modules(true)?,
        _ => bail!("{target}: neither web nor nodejs nor no-modules"),
    };
    bindgen
        .input_path(module)
        .out_name(name)
        .typescript(true)
        // Its JavaScript finds the module beside itself.
        .omit_default_module_path(false)
        .generate(folder)
}
