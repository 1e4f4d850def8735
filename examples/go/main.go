// Joins a channel, sets a state, watches the others, and comes back with its session when the connection is lost.
//
// Usage: watch_room HOST:PORT CHANNEL USER
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	pb "rollcall/gen/presence/v1"
)

type states = map[string]string

// What is held of a channel, and where to go on.
type watcher struct {
	client   pb.PresenceServiceClient
	room     *pb.Channel
	user     string
	members  map[string]states
	arriving map[string]states
	session  string
	position *pb.Position
}

// Keeps `members` as the server has them.
func (w *watcher) apply(event *pb.PresenceEvent) {
	switch kind := event.Event.(type) {
	case *pb.PresenceEvent_Subscribed:
		w.session = kind.Subscribed.SessionId
		if kind.Subscribed.Resumed {
			fmt.Println("back again")
		} else {
			fmt.Println("joined") // also when it was too late
		}
		return // what is held is not yet as of this position
	case *pb.PresenceEvent_Snapshot:
		for _, state := range kind.Snapshot.Users {
			w.arriving[state.UserId] = state.States
		}
		if !kind.Snapshot.Last {
			return
		}
		w.members, w.arriving = w.arriving, map[string]states{}
		fmt.Println("snapshot", w.members)
	case *pb.PresenceEvent_Interval:
		for _, gone := range append(kind.Interval.Left, kind.Interval.TimedOut...) {
			delete(w.members, gone)
		}
		for _, joined := range kind.Interval.Joined {
			w.members[joined] = states{}
		}
		for _, state := range kind.Interval.Changed {
			w.members[state.UserId] = state.States
		}
		fmt.Println("interval", w.members)
	case *pb.PresenceEvent_RemoteJoin:
		w.members[event.UserId] = states{}
		fmt.Println("join", event.UserId, w.members)
	case *pb.PresenceEvent_RemoteStateChanged:
		w.members[event.UserId] = kind.RemoteStateChanged.State.States
		fmt.Println("state", event.UserId, w.members)
	case *pb.PresenceEvent_RemoteLeave, *pb.PresenceEvent_RemoteTimeout:
		delete(w.members, event.UserId)
		fmt.Println("gone", event.UserId, w.members)
	}
	w.position = event.Position
}

// One subscription, until it ends. Calls `heard` at each message.
func (w *watcher) watch(heard func()) error {
	w.arriving = map[string]states{} // a snapshot that was cut off is void
	// No deadline: it would end the stream. The state is set with the join, and silent where it is there still.
	stream, err := w.client.SubscribePresence(context.Background(), &pb.SubscribePresenceRequest{
		Channel: w.room, UserId: w.user, SessionId: w.session, ResumeFrom: w.position,
		InitialStates: states{"Mode": "Happy"},
	})
	for err == nil {
		var response *pb.SubscribePresenceResponse
		if response, err = stream.Recv(); err != nil {
			break
		}
		heard()
		for _, event := range response.Events {
			w.apply(event)
		}
	}
	return err
}

func final(code codes.Code) bool {
	switch code {
	case codes.InvalidArgument, codes.PermissionDenied, codes.Unauthenticated, codes.Aborted, codes.FailedPrecondition:
		return true
	}
	return false
}

// What the server asks to wait at least; 0 when it does not say.
func retryDelay(failure *status.Status) time.Duration {
	for _, detail := range failure.Details() {
		if retry, ok := detail.(*errdetails.RetryInfo); ok {
			return retry.RetryDelay.AsDuration()
		}
	}
	return 0
}

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: watch_room HOST:PORT CHANNEL USER")
	}
	conn, err := grpc.NewClient(os.Args[1],
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}))
	if err != nil {
		log.Fatal(err)
	}
	w := &watcher{
		client:  pb.NewPresenceServiceClient(conn),
		room:    &pb.Channel{Type: pb.ChannelType_CHANNEL_TYPE_MESSAGE, Name: os.Args[2]},
		user:    os.Args[3],
		members: map[string]states{},
	}
	for wait := time.Second; ; wait = min(wait*2, 5*time.Second) {
		err := w.watch(func() { wait = time.Second })
		if err == io.EOF {
			return // somebody called LeaveChannel
		}
		failure := status.Convert(err)
		if final(failure.Code()) {
			log.Fatal(err)
		}
		fmt.Println("lost:", failure.Code())
		time.Sleep(retryDelay(failure) + rand.N(wait))
	}
}
