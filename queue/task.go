package queue

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"izinli/gateway"
)

// taskType is the type of all our tasks.
const taskType = "izinli:chunk"

// payload is all that a task carries: which chunk to look for. No text, no address.
type payload struct {
	Instance   string       `json:"i"`
	Lane       gateway.Lane `json:"l"`
	Chunk      uint64       `json:"c"`
	Generation uint32       `json:"g"`
}

var errPayload = errors.New("queue: not a task of ours")

func (p payload) encode() []byte {
	b, err := json.Marshal(p)
	if err != nil { // numbers and a checked string always encode
		panic(err)
	}
	return b
}

// decodePayload reads what encode wrote; errPayload for anything that no queue of ours can have written.
func decodePayload(b []byte) (payload, error) {
	var p payload
	if err := json.Unmarshal(b, &p); err != nil {
		return payload{}, fmt.Errorf("%w: %w", errPayload, err)
	}
	if p.Lane >= gateway.Lanes || p.Generation == 0 || !instanceForm.MatchString(p.Instance) {
		return payload{}, errPayload
	}
	return p, nil
}

// queueName is the asynq queue of a lane of one store.
func queueName(instance string, l gateway.Lane) string {
	return "izinli:" + instance + ":" + l.String()
}

// taskID is unique per chunk and generation: after a crash asynq holds an old id "active" for a minute and more.
func taskID(chunk uint64, gen uint32) string {
	return strconv.FormatUint(chunk, 10) + ":" + strconv.FormatUint(uint64(gen), 10)
}

// Keys of asynq 0.26 (internal/base) that are read here, never written: the list of waiting task ids and the hash of a task.
func pendingKey(queue string) string  { return "asynq:{" + queue + "}:pending" }
func pausedKey(queue string) string   { return "asynq:{" + queue + "}:paused" }
func taskKey(queue, id string) string { return "asynq:{" + queue + "}:t:" + id }
