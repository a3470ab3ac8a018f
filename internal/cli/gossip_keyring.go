package cli

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"sort"
	"strconv"

	"github.com/drover-org/drover/api"
)

// gossipKeyBytes makes the strongest key there is.
const gossipKeyBytes = 32

func gossipGenerateVerb() *verb {
	return &verb{
		name: "operator gossip keyring generate", args: "", offline: true,
		short: "Make a key that encrypts what servers tell each other",
		long:  "Prints a new key, for server.encrypt of all servers or for \"operator gossip keyring install\".",
		run: func(_ context.Context, e *env, args []string) error {
			if err := none(args); err != nil {
				return err
			}
			key := make([]byte, gossipKeyBytes)
			_, _ = rand.Read(key) // never fails: crypto/rand aborts the process instead
			e.say("%s", base64.StdEncoding.EncodeToString(key))
			return nil
		},
	}
}

func gossipListVerb() *verb {
	return &verb{
		name: "operator gossip keyring list", args: "[options]",
		short: "List the keys of gossip and how many servers have each",
		long:  "Lists the keys that encrypt what servers tell each other. The keys are shown in clear.",
		run: func(ctx context.Context, e *env, args []string) error {
			c, err := e.clientAlone(args)
			if err != nil {
				return err
			}
			keys, err := c.Agent().GossipKeys(ctx)
			if err != nil {
				return err
			}
			e.show(gossipKeyTable(keys))
			return nil
		},
	}
}

func gossipKeyTable(k *api.GossipKeys) *table {
	t := newTable("Key", "Servers", "In use by")
	for _, key := range keys(k.Keys) {
		t.row(key, strconv.Itoa(k.Keys[key])+" of "+strconv.Itoa(k.NumNodes), strconv.Itoa(k.PrimaryKeys[key]))
	}
	return t
}

func gossipChangeVerb(what, short, done string) *verb {
	return &verb{
		name: "operator gossip keyring " + what, args: "[options] KEY",
		short: short,
		long: `
To change the key that encrypts what servers tell each other: install a new one,
use it, remove the old one. Each step asks all servers; one that does not answer
must be repaired before the next.`,
		run: func(ctx context.Context, e *env, args []string) error {
			key, err := one(args, "key")
			if err != nil {
				return err
			}
			c, err := e.client()
			if err != nil {
				return err
			}
			out, err := c.Agent().ChangeGossipKey(ctx, what, key)
			if err != nil {
				return err
			}
			e.say("%s on %s.", done, plural(out.NumNodes, "server"))
			names := keys(out.Messages)
			sort.Strings(names)
			for _, n := range names {
				e.note("%s: %s", visible(n), visible(out.Messages[n]))
			}
			return nil
		},
	}
}

func gossipInstallVerb() *verb {
	return gossipChangeVerb("install", "Give all servers a further key of gossip", "Installed")
}

func gossipUseVerb() *verb {
	return gossipChangeVerb("use", "Encrypt gossip with another installed key", "In use")
}

func gossipRemoveVerb() *verb {
	return gossipChangeVerb("remove", "Take a key of gossip from all servers", "Removed")
}
