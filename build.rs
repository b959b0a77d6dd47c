//! What the linker is to know: on Windows the program's icon, manifest and version are resources of its file; on Linux and
//! macOS a program that is handed out (`HZ_HAND_OUT`, set by `./x dist`) brings what other people's computers lack.

use std::env::var;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=HZ_HAND_OUT");
    if var("HZ_HAND_OUT").is_ok() {
        match var("CARGO_CFG_TARGET_OS").as_deref() {
            Ok("linux") => {
                // What is asked for as gcc_s is the unwinder.
                bring(&[
                    ("libstdc++.a", "libstdc++.a"),
                    ("libvpx.a", "libvpx.a"),
                    ("libgcc_eh.a", "libgcc_s.a"),
                ]);
            }
            // What Homebrew installs is on nobody else's Mac.
            Ok("macos") => bring(&[("libvpx.a", "libvpx.a")]),
            _ => {}
        }
    }
    if var("CARGO_CFG_TARGET_OS").as_deref() != Ok("windows") {
        return;
    }
    for file in [
        "packaging/windows/hyperzoom.rc",
        "packaging/windows/hyperzoom.manifest",
        "assets/icon/hyperzoom.ico",
    ] {
        println!("cargo::rerun-if-changed={file}");
    }
    let part = |name: &str| var(format!("CARGO_PKG_VERSION_{name}")).unwrap_or_default();
    let version = format!("HZ_VERSION={},{},{},0", part("MAJOR"), part("MINOR"), part("PATCH"));
    let text = format!("HZ_VERSION_TEXT=\"{}\"", var("CARGO_PKG_VERSION").unwrap_or_default());
    let compiled =
        embed_resource::compile_for("packaging/windows/hyperzoom.rc", ["hyperzoom"], [version, text]);
    if let Err(error) = compiled.manifest_required() {
        panic!("the program's resources: {error}");
    }
}

/// Libraries that a desktop may lack, or have in another version, are linked as archives: a folder that the linker looks into first has no
/// other form of them. Each comes with the name that it is asked for by.
fn bring(archives: &[(&str, &str)]) {
    let folder = PathBuf::from(var("OUT_DIR").unwrap_or_default()).join("archives");
    let _ = std::fs::remove_dir_all(&folder);
    let brought = std::fs::create_dir_all(&folder).and_then(|()| {
        let mut each = archives.iter();
        each.try_for_each(|(archived, name)| std::fs::copy(archive(archived), folder.join(name)).map(drop))
    });
    if let Err(error) = brought {
        panic!("{}: {error}", folder.display());
    }
    println!("cargo::rustc-link-search=native={}", folder.display());
}

/// Where the compiler, or else pkg-config, finds an archive.
fn archive(name: &str) -> PathBuf {
    let ask = |program: &str, args: &[&str]| -> PathBuf {
        let asked = Command::new(program).args(args).output();
        let said = asked.ok().and_then(|out| String::from_utf8(out.stdout).ok()).unwrap_or_default();
        Path::new(said.trim()).to_owned()
    };
    // The compiler says no more than the name of what it does not find.
    let known = ask("cc", &[&format!("-print-file-name={name}")]);
    let module = name.trim_start_matches("lib").trim_end_matches(".a");
    let installed = ask("pkg-config", &["--variable=libdir", module]).join(name);
    match [known, installed].into_iter().find(|path| path.is_absolute() && path.is_file()) {
        Some(path) => path,
        None => {
            panic!("{name} was not found: a program that is handed out brings it (Debian: libvpx-dev, g++)")
        }
    }
}
