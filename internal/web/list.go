package web

import (
	"bytes"
	"io"
	"iter"
)

// List is a JSON array that is written item by item, so that it never exists
// as a whole.
type List[T any] struct {
	Items  iter.Seq[T]
	Append func(b []byte, item T) ([]byte, error) // appends an item's JSON; nil: encoding/json
}

// WriteTo writes the array.
func (l List[T]) WriteTo(w io.Writer) (int64, error) {
	var (
		total int64
		buf   = make([]byte, 0, 4<<10)
		next  = byte('[')
		err   error
	)
	flush := func() error {
		n, err := w.Write(buf)
		total += int64(n)
		buf = buf[:0]
		return err
	}
	appendItem := l.Append
	if appendItem == nil {
		var item bytes.Buffer
		appendItem = func(b []byte, v T) ([]byte, error) {
			item.Reset()
			if err := EncodeJSON(&item, v); err != nil {
				return b, err
			}
			return append(b, item.Bytes()...), nil
		}
	}
	for v := range l.Items {
		buf = append(buf, next)
		next = ','
		if buf, err = appendItem(buf, v); err != nil {
			return total, err
		}
		if len(buf) >= 3<<10 {
			if err = flush(); err != nil {
				return total, err
			}
		}
	}
	if next == '[' {
		buf = append(buf, '[')
	}
	buf = append(buf, ']')
	return total, flush()
}

// ListOf is a List of a slice's items; nil and empty are both [].
func ListOf[T any](items []T) List[T] {
	return List[T]{Items: func(yield func(T) bool) {
		for _, v := range items {
			if !yield(v) {
				return
			}
		}
	}}
}
