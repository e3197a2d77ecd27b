// Package trust signs and verifies with SSH keys, in the form that "ssh-keygen -Y" has: SSHSIG, as
// OpenSSH's PROTOCOL.sshsig describes it. So people sign with the keys, agents and hardware tokens
// that they have, and verify by hand with OpenSSH alone.
//
// A signature is made for a namespace, so that one of a kind of statement can't pass for one of
// another kind. Who may sign is a list in OpenSSH's ALLOWED SIGNERS format. [ParseSigners] takes
// less than OpenSSH does: where a line leaves anything to a default, it is refused.
//
// The package knows SSH, and nothing of what is signed.
package trust

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// MaxSignature is the greatest length, in bytes, of a signature in either form.
const MaxSignature = 4096

// Signature says that somebody has signed something.
type Signature struct {
	key       ssh.PublicKey
	namespace string
	reserved  string
	hash      string
	signature ssh.Signature
}

// Fingerprint returns that of the key, such as SHA256:uNiVztksCsDhcc0u9e8BrWJCfM3n9.... Whether the
// key has signed anything is not known before [Signers.Verify].
func (s Signature) Fingerprint() string { return ssh.FingerprintSHA256(s.key) }

// Namespace returns the namespace that the signature claims to be for.
func (s Signature) Namespace() string { return s.namespace }

const (
	magic     = "SSHSIG"
	pemType   = "SSH SIGNATURE"
	lineWidth = 70 // of ssh-keygen's armour
)

// envelope is what follows the magic in a signature.
type envelope struct {
	Version   uint32
	PublicKey string
	Namespace string
	Reserved  string
	Hash      string
	Signature string
}

// statement is what is signed, after the magic.
type statement struct {
	Namespace string
	Reserved  string
	Hash      string
	Digest    string
}

// ParseSignature reads a signature from its binary form. It refuses keys and algorithms that are
// too weak to rely on.
func ParseSignature(blob []byte) (Signature, error) {
	if len(blob) > MaxSignature {
		return Signature{}, fmt.Errorf("the signature is longer than %d bytes", MaxSignature)
	}
	rest, isOne := bytes.CutPrefix(blob, []byte(magic))
	if !isOne {
		return Signature{}, errors.New("it is not an SSH signature")
	}
	var e envelope
	if err := ssh.Unmarshal(rest, &e); err != nil {
		return Signature{}, fmt.Errorf("read the SSH signature: %w", err)
	}
	if e.Version != 1 {
		return Signature{}, fmt.Errorf("the SSH signature has the version %d; want 1", e.Version)
	}
	key, err := ssh.ParsePublicKey([]byte(e.PublicKey))
	if err != nil {
		return Signature{}, fmt.Errorf("read the key of the SSH signature: %w", err)
	}
	s := Signature{key: key, namespace: e.Namespace, reserved: e.Reserved, hash: e.Hash}
	if err := ssh.Unmarshal([]byte(e.Signature), &s.signature); err != nil {
		return Signature{}, fmt.Errorf("read the SSH signature: %w", err)
	}
	return s, s.checkStrength()
}

// formats are the signatures that a type of key may make.
var formats = map[string][]string{
	ssh.KeyAlgoED25519:    {ssh.KeyAlgoED25519},
	ssh.KeyAlgoECDSA256:   {ssh.KeyAlgoECDSA256},
	ssh.KeyAlgoECDSA384:   {ssh.KeyAlgoECDSA384},
	ssh.KeyAlgoECDSA521:   {ssh.KeyAlgoECDSA521},
	ssh.KeyAlgoSKED25519:  {ssh.KeyAlgoSKED25519},
	ssh.KeyAlgoSKECDSA256: {ssh.KeyAlgoSKECDSA256},
	ssh.KeyAlgoRSA:        {ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512},
}

// minRSA is how many bits an RSA key needs.
const minRSA = 3072

// checkKey refuses keys that are too weak, and types that are not known.
func checkKey(key ssh.PublicKey) error {
	if _, known := formats[key.Type()]; !known {
		return fmt.Errorf("keys of the type %s are not accepted; use an Ed25519, ECDSA, FIDO or RSA key", key.Type())
	}
	if key.Type() != ssh.KeyAlgoRSA {
		return nil
	}
	crypto, ok := key.(ssh.CryptoPublicKey)
	if !ok {
		return errors.New("the RSA key can't be read")
	}
	public, ok := crypto.CryptoPublicKey().(*rsa.PublicKey)
	if !ok || public.N.BitLen() < minRSA {
		return fmt.Errorf("the RSA key is shorter than %d bits", minRSA)
	}
	return nil
}

func (s Signature) checkStrength() error {
	if err := checkKey(s.key); err != nil {
		return err
	}
	allowed := false
	for _, format := range formats[s.key.Type()] {
		allowed = allowed || format == s.signature.Format
	}
	if !allowed {
		return fmt.Errorf("a key of the type %s can't make a signature of the type %q", s.key.Type(), s.signature.Format)
	}
	if isFIDO := strings.HasPrefix(s.key.Type(), "sk-"); !isFIDO && len(s.signature.Rest) > 0 {
		return errors.New("the SSH signature has something behind it")
	}
	_, err := digest(s.hash, nil)
	return err
}

func digest(hash string, message []byte) (string, error) {
	switch hash {
	case "sha256":
		sum := sha256.Sum256(message)
		return string(sum[:]), nil
	case "sha512":
		sum := sha512.Sum512(message)
		return string(sum[:]), nil
	}
	return "", fmt.Errorf("the hash %q is not accepted; want sha256 or sha512", hash)
}

// signedBytes returns what is signed of a message.
func signedBytes(namespace, reserved, hash string, message []byte) ([]byte, error) {
	sum, err := digest(hash, message)
	if err != nil {
		return nil, err
	}
	return append([]byte(magic), ssh.Marshal(statement{namespace, reserved, hash, sum})...), nil
}

// made reports by its error whether the signature's key has made it for a message.
func (s Signature) made(message []byte) error {
	data, err := signedBytes(s.namespace, s.reserved, s.hash, message)
	if err != nil {
		return err
	}
	return s.key.Verify(data, &s.signature) // which wants the touch of a FIDO key
}

// Armor returns the text form of a signature, as "ssh-keygen -Y sign" writes it: a block that
// begins and ends with a line of its own.
func Armor(blob []byte) []byte {
	var text bytes.Buffer
	text.WriteString("-----BEGIN " + pemType + "-----\n")
	encoded := base64.StdEncoding.EncodeToString(blob)
	for len(encoded) > lineWidth {
		text.WriteString(encoded[:lineWidth] + "\n")
		encoded = encoded[lineWidth:]
	}
	text.WriteString(encoded + "\n-----END " + pemType + "-----\n")
	return text.Bytes()
}

// Dearmor reads a signature from its text form, which has to be exactly as [Armor] writes it: no
// text around it, and no other line ends or widths.
func Dearmor(text []byte) (Signature, error) {
	if len(text) > MaxSignature {
		return Signature{}, fmt.Errorf("the signature is longer than %d bytes", MaxSignature)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != pemType || !bytes.Equal(Armor(block.Bytes), text) {
		return Signature{}, errors.New("it is not the text of an SSH signature alone")
	}
	return ParseSignature(block.Bytes)
}
