package webhook

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/ftl/trust"
)

// signed makes what is written from now on signed by a new key, and returns how to write without
// it, as a thief of the bucket's credentials would.
func (s *site) signed() (thief *master.Master) {
	s.t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		s.t.Fatal(err)
	}
	path := filepath.Join(s.t.TempDir(), "key")
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		s.t.Fatal(err)
	}
	key, err := trust.OpenKey(trust.KeySource{Path: path})
	if err != nil {
		s.t.Fatal(err)
	}
	public, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		s.t.Fatal(err)
	}
	signers, err := trust.ParseSigners([]byte(`ops namespaces="ftl-*" ` + string(ssh.MarshalAuthorizedKey(public))))
	if err != nil {
		s.t.Fatal(err)
	}
	identity, err := catalog.ParseIdentity("releases/prod")
	if err != nil {
		s.t.Fatal(err)
	}
	plain := s.bucket.Bucket
	s.bucket = &catalog.Catalog{Bucket: plain, Trust: &catalog.Trust{Signers: signers, Bucket: identity, Dropped: func(error) {}}}
	s.master.Bucket, s.master.Signing = s.bucket, &catalog.Signing{Signer: key, Bucket: identity}
	s.hook.Bucket, s.hook.fleet.Catalog = s.bucket, s.bucket
	s.hook.Master = func(by string) *master.Master {
		return &master.Master{Bucket: s.bucket, By: by, Signing: s.master.Signing}
	}
	return &master.Master{Bucket: &catalog.Catalog{Bucket: plain}, By: "thief@elsewhere"}
}

// Where signatures count, a label leads only to a revision that is signed, and what is blessed is
// signed too.
func TestOnlyWhatIsSigned(t *testing.T) {
	s := newSite(t, nil)
	thief := s.signed()
	first := s.spool(catalog.Labels{"commit": commit(1)}, nil)
	if err := s.master.Jump(t.Context(), first, master.JumpOptions{}); err != nil {
		t.Fatal(err)
	}
	s.addHost("web1")
	s.sync()
	good := s.spool(catalog.Labels{"commit": commit(2)}, nil)
	ours := s.master
	s.master = thief
	s.spool(catalog.Labels{"commit": commit(2)}, map[string]string{"check": "exit 0"})
	s.spool(catalog.Labels{"commit": commit(3)}, nil)
	s.master = ours
	if reply := s.client().deploy(t, s.client().body(commit(3))); reply.status != 422 {
		t.Errorf("one that is not signed: got %d %s", reply.status, reply.raw)
	}
	var reply olderReply
	s.during(func() { reply = s.client().deploy(t, s.client().body(commit(2))) })
	if reply.status != 200 || s.active().Revision != good {
		t.Errorf("got %d %s; %v is active", reply.status, reply.raw, s.active())
	}
	if !strings.Contains(reply.raw, "is passed over") {
		t.Errorf("the log does not tell of the other one: %s", reply.raw)
	}
	if entry := s.active(); !entry.Signed {
		t.Errorf("the blessing is not signed: %v", entry)
	}
}
