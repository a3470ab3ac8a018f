package events

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/drover-org/drover/api"
)

// Change is a row that a command changed, as it is now or, when it was
// deleted, as it was last.
type Change struct {
	Topic   api.Topic
	Type    string
	Row     any
	Deleted bool
}

// Batch is what one command changed.
type Batch struct {
	Index uint64

	changes []Change
	size    int // about what the rows take
	ring    *Ring

	once   sync.Once
	events []*Event

	encoding sync.Mutex // held while an event of the batch is encoded
}

// Event is one event of a batch.
type Event struct {
	Topic      api.Topic
	Type       string
	Key        string
	Namespace  string
	FilterKeys []string

	batch   *Batch
	row     any
	deleted bool
	json    atomic.Pointer[[]byte]
}

// Events returns the events: one for each object, whose last change counts.
func (b *Batch) Events() []*Event {
	b.once.Do(func() {
		type name struct {
			topic   api.Topic
			ns, key string
		}
		seen := make(map[name]int, len(b.changes))
		for _, c := range b.changes {
			e := &Event{Topic: c.Topic, Type: c.Type, batch: b, row: c.Row, deleted: c.Deleted}
			e.Key, e.Namespace, e.FilterKeys = keysOf(c.Row)
			n := name{c.Topic, e.Namespace, e.Key}
			if at, ok := seen[n]; ok {
				b.events[at] = e
				continue
			}
			seen[n] = len(b.events)
			b.events = append(b.events, e)
		}
	})
	return b.events
}

// Matches reports whether an event is meant by a key of its topic.
func (e *Event) Matches(key string) bool {
	if key == api.EventKeyAll || key == e.Key {
		return true
	}
	for _, k := range e.FilterKeys {
		if k == key {
			return true
		}
	}
	return false
}

// JSON returns the event as a stream shows it. It is made once for all
// readers while it is kept, and must not be changed.
func (e *Event) JSON() (json.RawMessage, error) {
	if p := e.json.Load(); p != nil {
		return *p, nil
	}
	e.batch.encoding.Lock()
	defer e.batch.encoding.Unlock()
	if p := e.json.Load(); p != nil {
		return *p, nil
	}
	payload, err := encode(payloadOf(e.row, e.deleted))
	if err != nil {
		return nil, fmt.Errorf("encode event %s %s: %w", e.Topic, e.Key, err)
	}
	text, err := encode(api.Event{
		Topic: e.Topic, Type: e.Type, Key: e.Key, Namespace: e.Namespace, FilterKeys: e.FilterKeys, Index: e.batch.Index, Payload: payload,
	})
	if err != nil {
		return nil, fmt.Errorf("encode event %s %s: %w", e.Topic, e.Key, err)
	}
	e.json.Store(&text)
	e.batch.ring.encoded.add(e.batch, len(text))
	return text, nil
}

func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// encodedBatches bounds the JSON that is kept: that of the batches which were
// first encoded longest ago goes first.
type encodedBatches struct {
	mu    sync.Mutex
	bound int
	total int
	sizes map[*Batch]int
	order []*Batch
}

func (k *encodedBatches) add(b *Batch, n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.sizes == nil {
		k.sizes = map[*Batch]int{}
	}
	if _, ok := k.sizes[b]; !ok {
		k.order = append(k.order, b)
	}
	k.sizes[b] += n
	k.total += n
	for k.total > k.bound && len(k.order) > 1 {
		old := k.order[0]
		k.order[0] = nil
		k.order = k.order[1:]
		k.total -= k.sizes[old]
		delete(k.sizes, old)
		for _, e := range old.events {
			e.json.Store(nil)
		}
	}
}
