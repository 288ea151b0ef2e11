//! The bill of materials, as CycloneDX 1.5 (<https://cyclonedx.org/docs/1.5/json/>).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::graph::Package;

/// The bill of `maoocr` in this version.
pub fn cyclonedx(version: &str, packages: &BTreeMap<String, Package>) -> Value {
    let reference = |package: &Package| format!("pkg:cargo/{}", package.key());
    let component = |package: &Package| {
        let mut component = json!({
            "type": "library",
            "bom-ref": reference(package),
            "name": package.name,
            "version": package.version,
            "purl": reference(package),
        });
        if !package.licence.is_empty() {
            // Old manifests separate with a slash, which SPDX doesn't know.
            let expression = package.licence.replace('/', " OR ");
            component["licenses"] = json!([{"expression": expression}]);
        }
        if let Some(sum) = &package.checksum {
            component["hashes"] = json!([{"alg": "SHA-256", "content": sum}]);
        }
        component
    };
    let own = format!("pkg:cargo/maoocr-cli@{version}");
    let libraries = packages
        .values()
        .filter(|package| package.name != "maoocr-cli");
    let dependencies = packages.values().map(|package| {
        let uses: Vec<String> = package
            .uses
            .iter()
            .map(|key| format!("pkg:cargo/{key}"))
            .collect();
        json!({"ref": reference(package), "dependsOn": uses})
    });
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": "maoocr",
                "version": version,
                "licenses": [{"expression": "Apache-2.0"}],
            },
        },
        "components": libraries.map(component).collect::<Vec<_>>(),
        "dependencies": dependencies.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_is_a_component_and_every_edge_leads_to_one() {
        let package = |name: &str, uses: &[&str]| Package {
            name: name.into(),
            version: "1.0.0".into(),
            licence: "MIT/Apache-2.0".into(),
            checksum: (name != "maoocr-cli").then(|| "abc".into()),
            uses: uses.iter().map(|key| key.to_string()).collect(),
            ..Package::default()
        };
        let packages = [
            package("maoocr-cli", &["a@1.0.0"]),
            package("a", &["b@1.0.0"]),
            package("b", &[]),
        ];
        let packages = packages.map(|package| (package.key(), package)).into();
        let bill = cyclonedx("1.0.0", &packages);
        assert_eq!(bill["specVersion"], "1.5");
        assert_eq!(bill["components"].as_array().unwrap().len(), 2);
        assert_eq!(bill["components"][0]["purl"], "pkg:cargo/a@1.0.0");
        assert_eq!(
            bill["components"][0]["licenses"][0]["expression"],
            "MIT OR Apache-2.0"
        );
        assert_eq!(bill["components"][0]["hashes"][0]["content"], "abc");
        let mut references: Vec<&Value> = vec![&bill["metadata"]["component"]["bom-ref"]];
        references.extend(
            bill["components"]
                .as_array()
                .unwrap()
                .iter()
                .map(|c| &c["bom-ref"]),
        );
        for dependency in bill["dependencies"].as_array().unwrap() {
            assert!(references.contains(&&dependency["ref"]), "{dependency}");
            for used in dependency["dependsOn"].as_array().unwrap() {
                assert!(references.contains(&used), "{dependency}");
            }
        }
    }
}
