// The runner in Go, over grpc-go. The protocol stands in ../runner.ts.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"sync"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	pb "rollcall/gen/presence/v1"
)

type command struct {
	ID      int             `json:"id"`
	Connect string          `json:"connect"`
	Call    string          `json:"call"`
	User    string          `json:"user"`
	Request json.RawMessage `json:"request"`
	Stream  string          `json:"stream"`
	Cancel  string          `json:"cancel"`
	Close   bool            `json:"close"`
}

var (
	out     sync.Mutex
	conn    *grpc.ClientConn
	streams = map[string]context.CancelFunc{}
)

func say(line map[string]any) {
	text, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	out.Lock()
	defer out.Unlock()
	fmt.Println(string(text))
}

// Protobuf's own JSON, since encoding/json knows nothing of it.
func toJSON(message proto.Message) json.RawMessage {
	text, err := protojson.Marshal(message)
	if err != nil {
		panic(err)
	}
	return text
}

// The codes' names as gRPC spells them; Go has its own: FailedPrecondition.
var names = map[codes.Code]string{}

func init() {
	for _, name := range strings.Fields("OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND " +
		"ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE " +
		"UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED") {
		names[codes.Code(len(names))] = name
	}
}

func outcome(err error) map[string]string {
	refusal := status.Convert(err)
	outcome := map[string]string{"code": names[refusal.Code()], "reason": "", "field": ""}
	for _, detail := range refusal.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			outcome["reason"] = detail.Reason
		case *errdetails.BadRequest:
			outcome["field"] = detail.FieldViolations[0].Field
		}
	}
	return outcome
}

// Reads a stream whose messages bring events, to its end.
func listen[Response interface{ GetEvents() []*pb.PresenceEvent }](name string, receive func() (Response, error)) {
	for {
		response, err := receive()
		if err == io.EOF {
			say(map[string]any{"stream": name, "end": map[string]string{"code": "OK"}})
			return
		}
		if err != nil {
			say(map[string]any{"stream": name, "end": outcome(err)})
			return
		}
		for _, event := range response.GetEvents() {
			say(map[string]any{"stream": name, "event": toJSON(event)})
		}
	}
}

func carryOut(cmd command) (any, error) {
	if cmd.Connect != "" {
		if conn != nil {
			conn.Close()
		}
		var err error
		conn, err = grpc.NewClient(cmd.Connect, grpc.WithTransportCredentials(insecure.NewCredentials()))
		return struct{}{}, err
	}
	if cmd.Close {
		return struct{}{}, conn.Close()
	}
	if cmd.Cancel != "" {
		streams[cmd.Cancel]()
		return struct{}{}, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	if cmd.User != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "x-user-id", cmd.User)
	}
	method := reflect.ValueOf(pb.NewPresenceServiceClient(conn)).MethodByName(cmd.Call)
	request := reflect.New(method.Type().In(1).Elem())
	if err := protojson.Unmarshal(cmd.Request, request.Interface().(proto.Message)); err != nil {
		panic(err)
	}
	results := method.Call([]reflect.Value{reflect.ValueOf(ctx), request})
	if err, _ := results[1].Interface().(error); err != nil {
		cancel()
		return nil, err
	}
	if cmd.Stream == "" {
		cancel()
		return toJSON(results[0].Interface().(proto.Message)), nil
	}
	streams[cmd.Stream] = cancel
	switch stream := results[0].Interface().(type) {
	case pb.PresenceService_SubscribePresenceClient:
		go listen(cmd.Stream, stream.Recv)
	case pb.PresenceService_WatchChannelsClient:
		go listen(cmd.Stream, stream.Recv)
	}
	return struct{}{}, nil
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var cmd command
		if err := json.Unmarshal(lines.Bytes(), &cmd); err != nil {
			panic(err)
		}
		if answer, err := carryOut(cmd); err != nil {
			say(map[string]any{"id": cmd.ID, "error": outcome(err)})
		} else {
			say(map[string]any{"id": cmd.ID, "answer": answer})
		}
	}
}
