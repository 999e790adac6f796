//! Finds the kernel object that the binary carries. `cargo xtask build` makes it and says where it is.

use std::{env, path::PathBuf};

fn main() {
    println!("cargo::rerun-if-env-changed=MMSCOPE_BPF_OBJECT");
    let path =
        env::var_os("MMSCOPE_BPF_OBJECT").map_or_else(|| PathBuf::from("../target/bpf/mmscope.bpf.o"), PathBuf::from);
    println!("cargo::rerun-if-changed={}", path.display());
    match path.canonicalize() {
        Ok(path) => println!("cargo::rustc-env=MMSCOPE_BPF_OBJECT={}", path.display()),
        Err(error) => {
            println!(
                "cargo::error=the kernel object {} cannot be read ({error}): run `cargo xtask build`",
                path.display()
            );
        }
    }
}
