"""The runner in Python, over grpcio: `sync` or `aio`. The protocol stands in ../runner.ts."""

import asyncio
import json
import sys
import threading

import grpc
from google.protobuf import json_format, message_factory
from google.rpc import error_details_pb2, status_pb2
from presence.v1 import presence_service_pb2, presence_service_pb2_grpc

SERVICE = presence_service_pb2.DESCRIPTOR.services_by_name["PresenceService"]
lock = threading.Lock()


def say(line):
    with lock:
        print(json.dumps(line), flush=True)


def request_of(command):
    method = SERVICE.methods_by_name[command["call"]]
    request = message_factory.GetMessageClass(method.input_type)()
    return json_format.ParseDict(command.get("request") or {}, request)


def metadata_of(command):
    return [("x-user-id", command["user"])] if command.get("user") else []


def outcome_of(error):
    outcome = {"code": error.code().name, "reason": "", "field": ""}
    trailers = dict(error.trailing_metadata() or ())
    details = status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b"")).details
    for detail in details:
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if detail.Unpack(info):
            outcome["reason"] = info.reason
        elif detail.Unpack(bad):
            outcome["field"] = bad.field_violations[0].field
    return outcome


def say_events(name, response):
    for event in response.events:
        say({"stream": name, "event": json_format.MessageToDict(event)})


def run_sync():
    channel, stub, streams = None, None, {}

    def listen(name, call):
        try:
            for response in call:
                say_events(name, response)
            say({"stream": name, "end": {"code": "OK"}})
        except grpc.RpcError as error:
            say({"stream": name, "end": outcome_of(error)})

    for line in sys.stdin:
        command = json.loads(line)
        answer = {}
        try:
            if "connect" in command:
                if channel:
                    channel.close()
                channel = grpc.insecure_channel(command["connect"])
                stub = presence_service_pb2_grpc.PresenceServiceStub(channel)
            elif "close" in command:
                channel.close()
            elif "cancel" in command:
                streams[command["cancel"]].cancel()
            else:
                call = getattr(stub, command["call"])(request_of(command), metadata=metadata_of(command))
                if "stream" in command:
                    streams[command["stream"]] = call
                    threading.Thread(target=listen, args=(command["stream"], call), daemon=True).start()
                else:
                    answer = json_format.MessageToDict(call)
            say({"id": command["id"], "answer": answer})
        except grpc.RpcError as error:
            say({"id": command["id"], "error": outcome_of(error)})


async def run_aio():
    channel, stub, streams, tasks = None, None, {}, set()

    async def listen(name, call):
        try:
            async for response in call:
                say_events(name, response)
            say({"stream": name, "end": {"code": "OK"}})
        except grpc.RpcError as error:
            say({"stream": name, "end": outcome_of(error)})
        except asyncio.CancelledError:
            say({"stream": name, "end": {"code": "CANCELLED"}})

    while line := await asyncio.to_thread(sys.stdin.readline):
        command = json.loads(line)
        answer = {}
        try:
            if "connect" in command:
                if channel:
                    await channel.close()
                channel = grpc.aio.insecure_channel(command["connect"])
                stub = presence_service_pb2_grpc.PresenceServiceStub(channel)
            elif "close" in command:
                # The connection stays open while a call of the channel is referenced.
                call = None
                streams.clear()
                await channel.close()
            elif "cancel" in command:
                streams[command["cancel"]].cancel()
            else:
                call = getattr(stub, command["call"])(request_of(command), metadata=metadata_of(command))
                if "stream" in command:
                    streams[command["stream"]] = call
                    # The loop keeps weak references to tasks alone.
                    tasks.add(asyncio.create_task(listen(command["stream"], call)))
                else:
                    answer = json_format.MessageToDict(await call)
            say({"id": command["id"], "answer": answer})
        except grpc.RpcError as error:
            say({"id": command["id"], "error": outcome_of(error)})


if sys.argv[1] == "aio":
    asyncio.run(run_aio())
else:
    run_sync()
