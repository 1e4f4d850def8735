use std::{env, error::Error};

fn main() -> Result<(), Box<dyn Error>> {
    env::set_var("PROTOC", protoc_bin_vendored::protoc_bin_path()?);
    tonic_prost_build::configure()
        .build_server(false)
        .compile_protos(
            &["../../proto/presence/v1/presence_service.proto"],
            &["../../proto", "../../third_party"],
        )?;
    Ok(())
}
