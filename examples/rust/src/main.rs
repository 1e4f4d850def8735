//! Joins a channel, sets a state, watches the others, and comes back with its session when the connection is lost.
//!
//! Usage: watch_room HOST:PORT CHANNEL USER

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tonic::transport::{Channel as Connection, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt;

mod google {
    pub mod rpc {
        tonic::include_proto!("google.rpc");
    }
}
mod presence {
    pub mod v1 {
        tonic::include_proto!("presence.v1");
    }
}
use presence::v1::presence_event::Event;
use presence::v1::presence_service_client::PresenceServiceClient;
use presence::v1::{Channel, ChannelType, Position, PresenceEvent, SubscribePresenceRequest};

type States = HashMap<String, String>;

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What is held of a channel, and where to go on.
struct Watcher {
    client: PresenceServiceClient<Connection>,
    room: Channel,
    user: String,
    members: BTreeMap<String, States>,
    arriving: BTreeMap<String, States>,
    session: String,
    position: Option<Position>,
    wait: Duration,
}

impl Watcher {
    /// Keeps `members` as the server has them.
    fn apply(&mut self, event: PresenceEvent) {
        let user = event.user_id;
        match event.event {
            Some(Event::Subscribed(subscribed)) => {
                self.session = subscribed.session_id;
                println!(
                    "{}",
                    if subscribed.resumed {
                        "back again"
                    } else {
                        "joined"
                    }
                );
                return; // what is held is not yet as of this position
            }
            Some(Event::Snapshot(snapshot)) => {
                self.arriving.extend(
                    snapshot
                        .users
                        .into_iter()
                        .map(|state| (state.user_id, state.states)),
                );
                if !snapshot.last {
                    return;
                }
                self.members = std::mem::take(&mut self.arriving);
                println!("snapshot {:?}", self.members);
            }
            Some(Event::Interval(interval)) => {
                for gone in interval.left.iter().chain(&interval.timed_out) {
                    self.members.remove(gone);
                }
                self.members.extend(
                    interval
                        .joined
                        .into_iter()
                        .map(|joined| (joined, States::new())),
                );
                self.members.extend(
                    interval
                        .changed
                        .into_iter()
                        .map(|state| (state.user_id, state.states)),
                );
                println!("interval {:?}", self.members);
            }
            Some(Event::RemoteJoin(_)) => {
                self.members.insert(user.clone(), States::new());
                println!("join {user} {:?}", self.members);
            }
            Some(Event::RemoteStateChanged(changed)) => {
                self.members
                    .insert(user.clone(), changed.state.unwrap_or_default().states);
                println!("state {user} {:?}", self.members);
            }
            Some(Event::RemoteLeave(_) | Event::RemoteTimeout(_)) => {
                self.members.remove(&user);
                println!("gone {user} {:?}", self.members);
            }
            _ => {}
        }
        self.position = event.position;
    }

    /// One subscription, until it ends.
    async fn watch(&mut self) -> Result<(), Status> {
        self.arriving.clear(); // a snapshot that was cut off is void
        let request = SubscribePresenceRequest {
            channel: Some(self.room.clone()),
            user_id: self.user.clone(),
            session_id: self.session.clone(),
            resume_from: self.position.clone(),
            // Set with the join, and silent where it is there still.
            initial_states: States::from([("Mode".into(), "Happy".into())]),
            ..Default::default()
        };
        // No deadline: it would end the stream.
        let mut responses = self.client.subscribe_presence(request).await?.into_inner();
        while let Some(response) = responses.message().await? {
            self.wait = FIRST_WAIT;
            for event in response.events {
                self.apply(event);
            }
        }
        Ok(())
    }
}

fn is_final(code: Code) -> bool {
    use Code::*;
    matches!(
        code,
        InvalidArgument | PermissionDenied | Unauthenticated | Aborted | FailedPrecondition
    )
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [address, name, user] = &args[..] else {
        return Err("usage: watch_room HOST:PORT CHANNEL USER".into());
    };
    let connection = Endpoint::from_shared(format!("http://{address}"))?
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(5))
        .connect_lazy();
    let mut watcher = Watcher {
        client: PresenceServiceClient::new(connection),
        room: Channel {
            r#type: ChannelType::Message.into(),
            name: name.clone(),
        },
        user: user.clone(),
        members: BTreeMap::new(),
        arriving: BTreeMap::new(),
        session: String::new(),
        position: None,
        wait: FIRST_WAIT,
    };
    loop {
        let Err(failure) = watcher.watch().await else {
            return Ok(()); // somebody called LeaveChannel
        };
        if is_final(failure.code()) {
            return Err(failure.into());
        }
        println!("lost: {:?}", failure.code());
        let at_least = failure
            .get_details_retry_info()
            .and_then(|info| info.retry_delay)
            .unwrap_or_default();
        tokio::time::sleep(at_least + watcher.wait.mul_f64(rand::random())).await;
        watcher.wait = (watcher.wait * 2).min(LONGEST_WAIT);
    }
}
