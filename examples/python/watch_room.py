"""Joins a channel, sets a state, watches the others, and comes back with its session when the connection is lost.
Ctrl-C leaves the channel.

Usage: watch_room.py [--device ID] HOST:PORT CHANNEL USER
"""

import argparse
import random
import time

import grpc
from google.rpc import error_details_pb2, status_pb2
from presence.v1 import presence_pb2, presence_service_pb2, presence_service_pb2_grpc

arguments = argparse.ArgumentParser(description="Watches a channel.")
arguments.add_argument("--device", default="", help="id of this device of the user: chosen once, and kept")
for positional in ("address", "channel", "user"):
    arguments.add_argument(positional)
args = arguments.parse_args()

room = presence_pb2.Channel(type=presence_pb2.CHANNEL_TYPE_MESSAGE, name=args.channel)
keepalive = [("grpc.keepalive_time_ms", 10_000), ("grpc.keepalive_timeout_ms", 5_000)]
stub = presence_service_pb2_grpc.PresenceServiceStub(grpc.insecure_channel(args.address, options=keepalive))

members, arriving = {}, {}
session, position = "", None
FINAL = ("INVALID_ARGUMENT", "PERMISSION_DENIED", "UNAUTHENTICATED", "ABORTED", "FAILED_PRECONDITION")


def apply(event):
    """Keeps `members` as the server has them."""
    global session, position, members
    kind = event.WhichOneof("event")
    if kind == "subscribed":
        session = event.subscribed.session_id
        print("back again" if event.subscribed.resumed else "joined", flush=True)
        return  # what is held is not yet as of this position
    if kind == "snapshot":
        arriving.update({state.user_id: dict(state.states) for state in event.snapshot.users})
        if not event.snapshot.last:
            return
        members = dict(arriving)
        arriving.clear()
    elif kind == "interval":
        for gone in [*event.interval.left, *event.interval.timed_out]:
            members.pop(gone, None)
        members.update({joined: {} for joined in event.interval.joined})
        members.update({state.user_id: dict(state.states) for state in event.interval.changed})
    elif kind == "remote_join":
        members[event.user_id] = {}
    elif kind == "remote_state_changed":
        members[event.user_id] = dict(event.remote_state_changed.state.states)
    elif kind in ("remote_leave", "remote_timeout"):
        members.pop(event.user_id, None)
    position = event.position
    print(kind, event.user_id, members, flush=True)


def retry_delay(error):
    """What the server asks to wait at least, in seconds; 0 when it does not say."""
    details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    retry = error_details_pb2.RetryInfo()
    found = any(detail.Unpack(retry) for detail in status_pb2.Status.FromString(details).details)
    return retry.retry_delay.ToTimedelta().total_seconds() if found else 0.0


def watch():
    """Subscribes, and again after each loss, until the session is ended with LeaveChannel."""
    wait = 1.0
    while True:
        arriving.clear()  # a snapshot that was cut off is void
        request = presence_service_pb2.SubscribePresenceRequest(
            channel=room,
            user_id=args.user,
            device_id=args.device,
            session_id=session,
            resume_from=position,
            # Only with the first join: later, another device of the user may have changed the state.
            initial_states={} if session else {"Mode": "Happy"},
        )
        try:
            for response in stub.SubscribePresence(request):  # no deadline: it would end the stream
                wait = 1.0
                for event in response.events:
                    apply(event)
            return  # LeaveChannel was called elsewhere
        except grpc.RpcError as error:
            if error.code().name in FINAL:
                raise
            print("lost:", error.code().name, flush=True)
            time.sleep(retry_delay(error) + random.uniform(0, wait))
        wait = min(wait * 2, 5.0)


try:
    watch()
except KeyboardInterrupt:
    if session:
        # Only this session ends, not those of other devices. The others receive REMOTE_LEAVE at once.
        leaving = presence_service_pb2.LeaveChannelRequest(channel=room, user_id=args.user, session_id=session)
        stub.LeaveChannel(leaving, timeout=2)
