package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rhettg/ftl/ftl/serve/access"
)

// A proofKind is a way to prove who has sent a request.
type proofKind string

const (
	byStandard proofKind = "standard-webhooks"
	byHub      proofKind = "hub"
	byToken    proofKind = "token"
)

// The headers of proofs.
const (
	headerID        = "Webhook-Id"
	headerTimestamp = "Webhook-Timestamp"
	headerSignature = "Webhook-Signature"
	headerHub       = "X-Hub-Signature-256"
	headerToken     = "Authorization"
)

// A proof is one that is good.
type proof struct {
	kind   proofKind
	secret string    // the id of what it was made with
	id     string    // of Standard Webhooks
	at     time.Time // of Standard Webhooks
}

// check tells who has proven to have sent a request. The error is access.ErrUnknown whatever is
// wrong with the proof.
func (h *Hook) check(r *http.Request, body []byte) (access.Who, proof, error) {
	present := func(names ...string) bool {
		for _, name := range names {
			if len(r.Header.Values(name)) > 0 {
				return true
			}
		}
		return false
	}
	kinds := map[proofKind]bool{
		byStandard: present(headerID, headerTimestamp, headerSignature), byHub: present(headerHub), byToken: present(headerToken),
	}
	number := 0
	for _, there := range kinds {
		if there {
			number++
		}
	}
	switch {
	case number != 1:
	case kinds[byToken]:
		who, _, err := h.Guard.Bearer(r)
		return who, proof{kind: byToken, secret: who.ID}, err
	case kinds[byHub]:
		return h.checkHub(r, body)
	default:
		return h.checkStandard(r, body)
	}
	return access.Who{}, proof{}, access.ErrUnknown
}

// checkHub checks a signature as GitHub sends it: of the body, by the secret as it is written.
func (h *Hook) checkHub(r *http.Request, body []byte) (access.Who, proof, error) {
	var given []byte
	if values := r.Header.Values(headerHub); len(values) == 1 {
		if digits, ok := strings.CutPrefix(values[0], "sha256="); ok && len(digits) == hex.EncodedLen(sha256.Size) {
			given, _ = hex.DecodeString(digits) // what is none is no signature either
		}
	}
	who, err := h.signer(body, [][]byte{given}, func(secret string) []byte { return []byte(secret) })
	return who, proof{kind: byHub, secret: who.ID}, err
}

// checkStandard checks a signature of Standard Webhooks: of id, time and body, by the bytes that
// the secret stands for.
func (h *Hook) checkStandard(r *http.Request, body []byte) (access.Who, proof, error) {
	id, stamp := single(r, headerID), single(r, headerTimestamp)
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || id == "" || len(id) > 200 || strings.ContainsAny(id, ". ") {
		return access.Who{}, proof{}, access.ErrUnknown
	}
	at := time.Unix(seconds, 0)
	var given [][]byte
	for word := range strings.FieldsSeq(single(r, headerSignature)) {
		if encoded, ok := strings.CutPrefix(word, "v1,"); ok && len(given) < 8 {
			if signature, err := base64.StdEncoding.DecodeString(encoded); err == nil {
				given = append(given, signature)
			}
		}
	}
	who, err := h.signer([]byte(id+"."+stamp+"."+string(body)), given, func(secret string) []byte {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil {
			return []byte(secret)
		}
		return key
	})
	if err == nil && !h.isNow(at) {
		err = access.ErrUnknown
	}
	return who, proof{kind: byStandard, secret: who.ID, id: id, at: at}, err
}

// isNow reports whether a sender's time is ours, about.
func (h *Hook) isNow(at time.Time) bool { return h.Now().Sub(at).Abs() <= tolerance }

// single returns the value of a header that stands there once.
func single(r *http.Request, name string) string {
	if values := r.Header.Values(name); len(values) == 1 {
		return values[0]
	}
	return ""
}

// signer returns whose secret has made one of the signatures of a message. All are compared,
// whichever is right.
func (h *Hook) signer(message []byte, given [][]byte, keyOf func(secret string) []byte) (access.Who, error) {
	secrets, err := h.Guard.WebhookSecrets()
	if err != nil {
		return access.Who{}, err
	}
	found := access.Who{}
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, keyOf(secret.Secret))
		mac.Write(message)
		want := mac.Sum(nil)
		for _, signature := range given {
			if hmac.Equal(signature, want) {
				found = secret.Who
			}
		}
	}
	if found.ID == "" {
		return access.Who{}, access.ErrUnknown
	}
	h.Guard.Used(found.ID)
	return found, nil
}
