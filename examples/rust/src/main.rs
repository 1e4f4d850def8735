//! Joins a channel, sets a state, watches the others, and comes back with its session when the connection is lost.
//! Ctrl-C leaves the channel.
//!
//! Usage: watch_room HOST:PORT CHANNEL USER [DEVICE]. DEVICE is an id of this device of the user: chosen once, and kept.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tonic::transport::{Channel as Connection, Endpoint};
use tonic::{Code, Request, Status};
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
use presence::v1::{
    Channel, ChannelType, LeaveChannelRequest, Position, PresenceEvent, SubscribePresenceRequest,
};

type States = HashMap<String, String>;

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What is held of a channel, and where to go on.
struct Watcher {
    client: PresenceServiceClient<Connection>,
    room: Channel,
    user: String,
    device: String,
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
            device_id: self.device.clone(),
            session_id: self.session.clone(),
            resume_from: self.position.clone(),
            // Only with the first join: later, another device of the user may have changed the state.
            initial_states: if self.session.is_empty() {
                States::from([("Mode".into(), "Happy".into())])
            } else {
                States::new()
            },
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

    /// Subscribes, and again after each loss, until the session is ended with LeaveChannel.
    async fn run(&mut self) -> Result<(), Status> {
        while let Err(failure) = self.watch().await {
            if is_final(failure.code()) {
                return Err(failure);
            }
            println!("lost: {:?}", failure.code());
            let at_least = failure
                .get_details_retry_info()
                .and_then(|info| info.retry_delay)
                .unwrap_or_default();
            tokio::time::sleep(at_least + self.wait.mul_f64(rand::random())).await;
            self.wait = (self.wait * 2).min(LONGEST_WAIT);
        }
        Ok(())
    }

    /// Leaves on purpose: the others receive REMOTE_LEAVE at once. Only this session ends, not those of other devices.
    async fn leave(&mut self) -> Result<(), Status> {
        if self.session.is_empty() {
            return Ok(());
        }
        let mut request = Request::new(LeaveChannelRequest {
            channel: Some(self.room.clone()),
            user_id: self.user.clone(),
            session_id: self.session.clone(),
        });
        request.set_timeout(Duration::from_secs(2));
        match self.client.leave_channel(request).await {
            // `run` was dropped, which cancelled the stream: the session has ended already.
            Err(failure) if failure.code() == Code::NotFound => Ok(()),
            ended => ended.map(|_| ()),
        }
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
    let (address, name, user, device) = match &args[..] {
        [address, name, user] => (address, name, user, String::new()),
        [address, name, user, device] => (address, name, user, device.clone()),
        _ => return Err("usage: watch_room HOST:PORT CHANNEL USER [DEVICE]".into()),
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
        device,
        members: BTreeMap::new(),
        arriving: BTreeMap::new(),
        session: String::new(),
        position: None,
        wait: FIRST_WAIT,
    };
    let interrupted = tokio::select! {
        ended = watcher.run() => return Ok(ended?),
        interrupted = tokio::signal::ctrl_c() => interrupted,
    };
    interrupted?;
    watcher.leave().await?;
    Ok(())
}
