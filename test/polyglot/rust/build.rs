use std::{env, error::Error, fs, path::PathBuf};

// Stubs by tonic-prost-build, and protobuf's JSON by pbjson-build, from the protos beside this file.
fn main() -> Result<(), Box<dyn Error>> {
    env::set_var("PROTOC", protoc_bin_vendored::protoc_bin_path()?);
    println!("cargo:rerun-if-changed=protos");
    let descriptors = PathBuf::from(env::var("OUT_DIR")?).join("descriptors.binpb");
    tonic_prost_build::configure()
        .build_server(false)
        .compile_well_known_types(true)
        .extern_path(".google.protobuf", "::pbjson_types")
        .file_descriptor_set_path(&descriptors)
        .compile_protos(&["protos/presence/v1/presence_service.proto"], &["protos"])?;
    pbjson_build::Builder::new()
        .register_descriptors(&fs::read(descriptors)?)?
        .extern_path(".google.protobuf", "::pbjson_types")
        .build(&[".presence.v1", ".google.rpc"])?;
    Ok(())
}
