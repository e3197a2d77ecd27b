package catalog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// A vote is an empty object, so that a listing tells all of them. Hosts write their own, and nobody
// changes one:
//
//	_ftl/votes/<package>/<serial>/<kind>/<wave>/<node>

const allVotes = ours + "votes/"

func votesPrefix(pkg revision.Package) string { return allVotes + pkg.String() + "/" }

func serialPrefix(pkg revision.Package, serial int64) string {
	return votesPrefix(pkg) + strconv.FormatInt(serial, 10) + "/"
}

// VoteKey returns the key of a vote.
func VoteKey(pkg revision.Package, serial int64, vote rollout.Vote) string {
	return fmt.Sprintf("%s%s/%d/%s", serialPrefix(pkg, serial), vote.Kind, vote.Wave, vote.Host)
}

// Vote writes a vote for the entry with this serial. To write one again makes it the newest.
func (c *Catalog) Vote(ctx context.Context, pkg revision.Package, serial int64, vote rollout.Vote) error {
	_, err := c.Put(ctx, VoteKey(pkg, serial, vote), bytes.NewReader(nil), store.PutOptions{SHA256: sha256.Sum256(nil)})
	return err
}

// Votes are those for one entry of a marker.
type Votes struct {
	Votes []rollout.Vote
	Date  time.Time // the bucket's clock, our own where it tells none
}

// Count counts the votes by the waves of their entry. No bucket's clock is exact: some servers
// cache the Date of their answers for a second, so what the bucket holds can be newer than its
// Date. It is no earlier than anything that has happened.
func (v Votes) Count(plan *rollout.Plan) *rollout.Count {
	now := v.Date
	if plan.Opened.After(now) {
		now = plan.Opened
	}
	for _, vote := range v.Votes {
		if vote.At.After(now) {
			now = vote.At
		}
	}
	return plan.Count(v.Votes, now)
}

// Votes lists the votes for the entry with this serial. Keys that no host would write are left out.
func (c *Catalog) Votes(ctx context.Context, pkg revision.Package, serial int64) (Votes, error) {
	prefix := serialPrefix(pkg, serial)
	listing, err := c.List(ctx, store.ListOptions{Prefix: prefix})
	if err != nil {
		return Votes{}, err
	}
	votes := Votes{Date: listing.Date}
	if votes.Date.IsZero() {
		votes.Date = time.Now()
	}
	for _, object := range listing.Objects {
		if vote, ok := parseVote(strings.TrimPrefix(object.Key, prefix)); ok {
			vote.At = object.Modified
			votes.Votes = append(votes.Votes, vote)
		}
	}
	return votes, nil
}

// parseVote reads what follows the serial in a key.
func parseVote(text string) (rollout.Vote, bool) {
	parts := strings.Split(text, "/")
	if len(parts) != 3 {
		return rollout.Vote{}, false
	}
	kind, known := rollout.ParseKind(parts[0])
	wave, err := strconv.ParseUint(parts[1], 10, 16)
	_, nodeErr := ParseNode(parts[2])
	if !known || err != nil || parts[1] != strconv.FormatUint(wave, 10) || nodeErr != nil {
		return rollout.Vote{}, false
	}
	return rollout.Vote{Host: parts[2], Kind: kind, Wave: int(wave)}, true
}

// ForgetVotes deletes the votes of a package for all entries but the one with this serial, and
// returns how many there were. Votes for that one are never deleted: what a host said against a
// revision would be forgotten.
func (c *Catalog) ForgetVotes(ctx context.Context, pkg revision.Package, but int64) (int, error) {
	listing, err := c.List(ctx, store.ListOptions{Prefix: votesPrefix(pkg)})
	if err != nil {
		return 0, err
	}
	deleted := 0
	for _, object := range listing.Objects {
		if strings.HasPrefix(object.Key, serialPrefix(pkg, but)) {
			continue
		}
		if err := c.Delete(ctx, object.Key); err != nil {
			return deleted, err
		}
		deleted++
	}
	return deleted, nil
}
