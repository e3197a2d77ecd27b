package trust

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// Key can sign.
type Key struct {
	signer ssh.Signer
	agent  net.Conn // nil where the key is in a file
}

// KeySource says how to get at a key.
type KeySource struct {
	// Path is that of a private key, or of a public one (".pub"), whose private part an agent has.
	Path string
	// Agent is the agent's socket, as SSH_AUTH_SOCK has it; "" where there is none.
	Agent string
	// Passphrase asks for that of a key. Nil: nobody can be asked.
	Passphrase func(path string) ([]byte, error)
}

// ErrPassphrase says that a key needs a passphrase, and nobody can be asked for it.
var ErrPassphrase = errors.New("the key has a passphrase, and there is no terminal to ask for it")

// OpenKey returns the key. The caller closes it.
func OpenKey(source KeySource) (*Key, error) {
	var key *Key
	var err error
	if strings.HasSuffix(source.Path, ".pub") {
		key, err = agentKey(source)
	} else {
		key, err = fileKey(source)
	}
	if err != nil {
		return nil, fmt.Errorf("the key %s: %w", source.Path, err)
	}
	if err := checkKey(key.signer.PublicKey()); err != nil {
		return nil, errors.Join(fmt.Errorf("the key %s: %w", source.Path, err), key.Close())
	}
	return key, nil
}

func fileKey(source KeySource) (*Key, error) {
	info, err := os.Stat(source.Path)
	if err != nil {
		return nil, withoutPath(err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("others can read it (its mode is %04o); to mend that: chmod 600 %s", info.Mode().Perm(), source.Path)
	}
	text, err := os.ReadFile(source.Path)
	if err != nil {
		return nil, withoutPath(err)
	}
	signer, err := ssh.ParsePrivateKey(text)
	if _, encrypted := errors.AsType[*ssh.PassphraseMissingError](err); encrypted {
		signer, err = decrypted(text, source)
	}
	if err != nil && bytes.Contains(text, []byte("PRIVATE KEY")) {
		return nil, fmt.Errorf("%w; of a FIDO key, name the .pub file and load the key into an agent", err)
	}
	if err != nil {
		return nil, err
	}
	return &Key{signer: signer}, nil
}

func decrypted(text []byte, source KeySource) (ssh.Signer, error) {
	if source.Passphrase == nil {
		return nil, ErrPassphrase
	}
	passphrase, err := source.Passphrase(source.Path)
	if err != nil {
		return nil, err
	}
	return ssh.ParsePrivateKeyWithPassphrase(text, passphrase)
}

// agentKey finds the private part of a public key in an agent.
func agentKey(source KeySource) (*Key, error) {
	text, err := os.ReadFile(source.Path)
	if err != nil {
		return nil, withoutPath(err)
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		return nil, err
	}
	if source.Agent == "" {
		return nil, errors.New("it is a public key, and SSH_AUTH_SOCK names no agent that has its private part")
	}
	conn, err := net.Dial("unix", source.Agent)
	if err != nil {
		return nil, fmt.Errorf("ask the agent: %w", err)
	}
	signers, err := agent.NewClient(conn).Signers()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("ask the agent: %w", err), conn.Close())
	}
	for _, signer := range signers {
		if bytes.Equal(signer.PublicKey().Marshal(), public.Marshal()) {
			return &Key{signer, conn}, nil
		}
	}
	return nil, errors.Join(errors.New("the agent does not have it; ssh-add loads it"), conn.Close())
}

// withoutPath drops the path from an error that names it anyway.
func withoutPath(err error) error {
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return failed.Err
	}
	return err
}

// Close ends the connection to the agent, if there is one.
func (k *Key) Close() error {
	if k.agent == nil {
		return nil
	}
	return k.agent.Close()
}

// Fingerprint returns that of the key, as [Signature.Fingerprint] does.
func (k *Key) Fingerprint() string { return ssh.FingerprintSHA256(k.signer.PublicKey()) }

// NeedsTouch reports whether a person has to touch the key for each signature.
func (k *Key) NeedsTouch() bool { return strings.HasPrefix(k.signer.PublicKey().Type(), "sk-") }

// Sign returns the signature of a message for a namespace, in its binary form.
func (k *Key) Sign(namespace string, message []byte) ([]byte, error) {
	if namespace == "" {
		return nil, errors.New("a signature needs a namespace")
	}
	const hash = "sha512"
	data, err := signedBytes(namespace, "", hash, message)
	if err != nil {
		return nil, err
	}
	signature, err := k.sign(data)
	if err != nil {
		return nil, fmt.Errorf("sign with %s: %w", k.Fingerprint(), err)
	}
	blob := append([]byte(magic), ssh.Marshal(envelope{
		Version: 1, PublicKey: string(k.signer.PublicKey().Marshal()), Namespace: namespace, Hash: hash,
		Signature: string(ssh.Marshal(signature)),
	})...)
	parsed, err := ParseSignature(blob)
	if err == nil {
		err = parsed.made(message)
	}
	if err != nil {
		return nil, fmt.Errorf("sign with %s: the signature that came is not accepted: %w", k.Fingerprint(), err)
	}
	return blob, nil
}

// sign signs with an RSA key by SHA-512, and not by the SHA-1 that SSH began with.
func (k *Key) sign(data []byte) (*ssh.Signature, error) {
	if k.signer.PublicKey().Type() != ssh.KeyAlgoRSA {
		return k.signer.Sign(rand.Reader, data)
	}
	signer, ok := k.signer.(ssh.AlgorithmSigner)
	if !ok {
		return nil, errors.New("the RSA key can't sign by SHA-512")
	}
	return signer.SignWithAlgorithm(rand.Reader, data, ssh.KeyAlgoRSASHA512)
}
