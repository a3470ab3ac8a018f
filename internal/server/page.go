package server

import (
	"context"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// pager cuts a page out of an ordered sequence.
type pager[T any] struct {
	opts    api.ListOptions
	visible func(T) bool
	match   func(T) bool   // nil: everything
	before  func(T) bool   // the item lies before the page's start; nil: none does
	token   func(T) string // names an item
}

// page returns the items of one page and the token of the next, "" at the
// end. Without filter and page size the items are not gathered: the iterator
// reads the snapshot that seq belongs to.
func (p pager[T]) page(seq iter.Seq[T]) (iter.Seq[T], string) {
	chosen := func(yield func(T) bool) {
		skipping := p.before != nil
		for item := range seq {
			if skipping {
				if p.before(item) {
					continue
				}
				skipping = false
			}
			if p.visible != nil && !p.visible(item) || p.match != nil && !p.match(item) {
				continue
			}
			if !yield(item) {
				return
			}
		}
	}
	if p.opts.PerPage == 0 {
		return chosen, ""
	}
	items := make([]T, 0, min(p.opts.PerPage, 1024))
	for item := range chosen {
		if len(items) == p.opts.PerPage {
			return slices.Values(items), p.token(item)
		}
		items = append(items, item)
	}
	return slices.Values(items), ""
}

// namedTable is a table whose rows are listed by their name, which is also the
// next token.
type namedTable[T any] struct {
	key     store.Key
	table   store.Table
	from    func(snap *store.Snapshot, name string, reverse bool) iter.Seq[T]
	name    func(T) string
	isName  func(string) bool      // a row can have that name
	visible func(name string) bool // the caller may see the row
}

// listNamed lists the rows of a table.
func listNamed[T any](ctx context.Context, s *Server, opts api.ListOptions, t namedTable[T]) (iter.Seq[T], api.Meta, error) {
	if opts.NextToken != "" && !t.isName(opts.NextToken) {
		return nil, api.Meta{}, badToken(opts.NextToken)
	}
	match, err := newFilter[T](opts.Filter)
	if err != nil {
		return nil, api.Meta{}, err
	}
	p := pager[T]{opts: opts, match: match, token: t.name}
	p.visible = func(row T) bool { return strings.HasPrefix(t.name(row), opts.Prefix) && t.visible(t.name(row)) }
	var next string
	seq, meta, err := read(ctx, s, opts, []store.Key{t.key}, func(snap *store.Snapshot) (iter.Seq[T], uint64, error) {
		var seq iter.Seq[T]
		seq, next = p.page(t.from(snap, opts.NextToken, opts.Reverse))
		return seq, snap.TableIndex(t.table), nil
	})
	meta.NextToken = next
	return seq, meta, err
}

// createToken names an item in a list ordered by create index and ID.
func createToken(index uint64, id string) string {
	return strconv.FormatUint(index, 10) + "." + id
}

// parseCreateToken reads what createToken wrote.
func parseCreateToken(token string) (uint64, api.ID, error) {
	index, id, _ := strings.Cut(token, ".")
	n, err := strconv.ParseUint(index, 10, 64)
	parsed, ok := api.ParseID(id)
	if err != nil || !ok {
		return 0, api.ID{}, badToken(token)
	}
	return n, parsed, nil
}

// maxShownToken bounds how much of a bad token an error repeats.
const maxShownToken = 128

func badToken(token string) error {
	if len(token) > maxShownToken {
		token = token[:maxShownToken] + "…"
	}
	return api.Errorf(api.CodeInvalid, "query parameter %q is %q: pass the X-Nomad-NextToken of the page before as it is", "next_token", token)
}

// beforeID returns whether an ID lies before the one a token names, in the
// list's direction; nil without a token.
func beforeID(opts api.ListOptions) (func(id string) bool, error) {
	if opts.NextToken == "" {
		return nil, nil
	}
	id, ok := api.ParseID(opts.NextToken)
	if !ok {
		return nil, badToken(opts.NextToken)
	}
	start := id.String()
	if opts.Reverse {
		return func(id string) bool { return id > start }, nil
	}
	return func(id string) bool { return id < start }, nil
}
