//! The runner in Rust, over tonic. The protocol stands in ../../runner.ts.

use std::collections::HashMap;

use serde_json::{json, Value};
use tokio::io::{stdin, AsyncBufReadExt, BufReader};
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

mod google {
    pub mod rpc {
        tonic::include_proto!("google.rpc");
        include!(concat!(env!("OUT_DIR"), "/google.rpc.serde.rs"));
    }
}
mod presence {
    pub mod v1 {
        tonic::include_proto!("presence.v1");
        include!(concat!(env!("OUT_DIR"), "/presence.v1.serde.rs"));
    }
}
use presence::v1::presence_service_client::PresenceServiceClient;

type Client = PresenceServiceClient<Channel>;

/// The code's name as gRPC spells it: `FailedPrecondition` is FAILED_PRECONDITION.
fn code_name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

fn outcome(status: &Status) -> Value {
    let reason = status.get_details_error_info().map(|info| info.reason);
    let field = status
        .get_details_bad_request()
        .and_then(|bad| bad.field_violations.into_iter().next())
        .map(|violation| violation.field);
    json!({
        "code": code_name(status.code()),
        "reason": reason.unwrap_or_default(),
        "field": field.unwrap_or_default(),
    })
}

fn request<T: serde::de::DeserializeOwned>(command: &Value) -> Request<T> {
    let body = command.get("request").cloned().unwrap_or_else(|| json!({}));
    let mut request = Request::new(serde_json::from_value(body).expect("the request is not one"));
    if let Some(user) = command["user"].as_str() {
        request.metadata_mut().insert("x-user-id", user.parse().expect("the user id is not ASCII"));
    }
    request
}

macro_rules! unary {
    ($client:expr, $command:expr, $($name:literal => $method:ident),* $(,)?) => {
        match $command["call"].as_str().unwrap_or_default() {
            $($name => {
                let answer = $client.$method(request($command)).await?.into_inner();
                Ok(serde_json::to_value(answer).expect("the answer has no JSON"))
            })*
            other => panic!("no call {other}"),
        }
    };
}

async fn call(mut client: Client, command: &Value) -> Result<Value, Status> {
    unary!(client, command,
        "SetState" => set_state,
        "GetState" => get_state,
        "RemoveState" => remove_state,
        "BatchJoinChannel" => batch_join_channel,
        "BatchSetState" => batch_set_state,
        "ListOnlineUsers" => list_online_users,
        "ListUserChannels" => list_user_channels,
        "JoinChannel" => join_channel,
        "Heartbeat" => heartbeat,
        "LeaveChannel" => leave_channel,
    )
}

macro_rules! say_events {
    ($name:expr, $call:expr) => {{
        let mut responses = $call.await?.into_inner();
        while let Some(response) = responses.message().await? {
            for event in response.events {
                println!("{}", json!({ "stream": $name, "event": event }));
            }
        }
        Ok(())
    }};
}

async fn listen(name: &str, mut client: Client, command: &Value) -> Result<(), Status> {
    match command["call"].as_str().unwrap_or_default() {
        "SubscribePresence" => say_events!(name, client.subscribe_presence(request(command))),
        "WatchChannels" => say_events!(name, client.watch_channels(request(command))),
        other => panic!("no stream {other}"),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut streams: HashMap<String, JoinHandle<()>> = HashMap::new();
    let mut connected: Option<Client> = None;
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await.expect("standard input cannot be read") {
        let command: Value = serde_json::from_str(&line).expect("the line is not JSON");
        let id = &command["id"];
        let mut answer = Ok(json!({}));
        if let Some(address) = command["connect"].as_str() {
            let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("not an address");
            streams.drain().for_each(|(_, stream)| stream.abort());
            connected = Some(Client::new(endpoint.connect_lazy()));
        } else if command["close"].is_boolean() {
            // The connection lives as long as anything of it is held: the client, or a stream.
            connected = None;
            for (name, stream) in streams.drain() {
                if !stream.is_finished() {
                    stream.abort();
                    println!("{}", json!({ "stream": name, "end": { "code": "CANCELLED" } }));
                }
            }
        } else if let Some(name) = command["cancel"].as_str() {
            // A stream that is dropped is cancelled; nobody is left to tell of its end.
            streams.remove(name).expect("no such stream").abort();
            println!("{}", json!({ "stream": name, "end": { "code": "CANCELLED" } }));
        } else {
            let client = connected.clone().expect("not connected");
            if let Some(name) = command["stream"].as_str().map(str::to_owned) {
                let (key, command) = (name.clone(), command.clone());
                let stream = tokio::spawn(async move {
                    let end = match listen(&name, client, &command).await {
                        Ok(()) => json!({ "code": "OK" }),
                        Err(status) => outcome(&status),
                    };
                    println!("{}", json!({ "stream": name, "end": end }));
                });
                streams.insert(key, stream);
            } else {
                answer = call(client, &command).await;
            }
        }
        match answer {
            Ok(answer) => println!("{}", json!({ "id": id, "answer": answer })),
            Err(status) => println!("{}", json!({ "id": id, "error": outcome(&status) })),
        }
    }
}
