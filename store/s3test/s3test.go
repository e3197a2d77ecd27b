// Package s3test runs a real S3 server for tests, on a loopback port and over a temporary
// directory: versitygw, or the one that FTL_TEST_S3 names, which is minio. Their versions are
// pinned below testdata/s3; the go command builds one once into its build cache.
package s3test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Server is a running S3 server. It is a comparable value, and may be used by several tests at
// once, each with a bucket of its own.
type Server struct {
	Endpoint  string // URL without a path
	AccessKey string
	SecretKey string
	Region    string

	// SessionToken belongs to credentials that last for some time, and is "" for others.
	SessionToken string

	// Data is the directory in which an object is the file <bucket>/<key>, "" for a server that
	// keeps objects otherwise.
	Data string
}

// Env returns the environment, as "name=value", with which the SDK and ftl use the server, whatever
// the machine has configured.
func (s Server) Env() []string {
	return []string{
		"AWS_ENDPOINT_URL=" + s.Endpoint,
		"AWS_ENDPOINT_URL_S3=" + s.Endpoint,
		"AWS_ACCESS_KEY_ID=" + s.AccessKey,
		"AWS_SECRET_ACCESS_KEY=" + s.SecretKey,
		"AWS_SESSION_TOKEN=" + s.SessionToken,
		"AWS_REGION=" + s.Region,
		"AWS_PROFILE=",
		"AWS_CONFIG_FILE=" + os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
		"AWS_EC2_METADATA_DISABLED=true",
		"NO_PROXY=127.0.0.1",
	}
}

// Setenv sets Env for a test, which then can't be parallel.
func (s Server) Setenv(t testing.TB) {
	for _, variable := range s.Env() {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
}

// Bucket makes an empty bucket and returns its name.
func (s Server) Bucket(t testing.TB) string {
	t.Helper()
	name := "ftl-" + strings.ToLower(rand.Text())
	if err := s.MakeBucket(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	return name
}

// MakeBucket makes an empty bucket of that name.
func (s Server) MakeBucket(ctx context.Context, name string) error {
	_, err := s.client().CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(name)})
	if err != nil {
		return fmt.Errorf("make bucket %s: %w", name, err)
	}
	return nil
}

func (s Server) client() *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: &s.Endpoint,
		UsePathStyle: true,
		Region:       s.Region,
		Credentials:  credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, s.SessionToken),
	})
}

// shared is the one server of a test process. It stops when the last test that started it has
// ended; a test that runs its children below one Start keeps it.
var shared struct {
	sync.Mutex
	users  int
	server Server
	stop   func() error
}

// Start returns the server of this test process, started when need be, and keeps it running until
// the test ends. The first start on a machine builds it, which takes a minute.
func Start(t testing.TB) Server {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.users == 0 {
		server, stop, err := Run()
		if err != nil {
			t.Fatal(err)
		}
		shared.server, shared.stop = server, stop
	}
	shared.users++
	t.Cleanup(func() {
		shared.Lock()
		defer shared.Unlock()
		if shared.users--; shared.users > 0 {
			return
		}
		if err := shared.stop(); err != nil {
			t.Errorf("stop the S3 server: %v", err)
		}
	})
	return shared.server
}

// Run starts a server for a program that is no test, and returns what stops it and removes all that
// it holds. A port that another process took meanwhile is one more try.
func Run() (Server, func() error, error) {
	p, err := chosen()
	if err != nil {
		return Server{}, nil, err
	}
	path, err := p.binary()
	if err != nil {
		return Server{}, nil, fmt.Errorf("build the S3 server: %w", err)
	}
	for try := 1; ; try++ {
		server, stop, err := p.run(path)
		if err == nil || try == 3 {
			return server, stop, err
		}
	}
}

// startTimeout is generous, for a machine under load.
const startTimeout = 30 * time.Second

func (p product) run(path string) (Server, func() error, error) {
	dir, err := os.MkdirTemp("", "ftl-s3-")
	if err != nil {
		return Server{}, nil, err
	}
	cmd, address, err := p.prepare(path, dir)
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return Server{}, nil, errors.Join(err, os.RemoveAll(dir))
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop := func() error {
		err := cmd.Process.Kill()
		died := <-ended
		if errors.Is(err, os.ErrProcessDone) { // else it was killed, so that its error says nothing
			err = fmt.Errorf("it has ended by itself: %v\n%s", died, cmd.Stderr)
		}
		return errors.Join(err, os.RemoveAll(dir))
	}
	s := Server{Endpoint: "http://" + address, AccessKey: accessKey, SecretKey: secretKey, Region: region}
	if p.keepsFiles {
		s.Data = filepath.Join(dir, dataDir)
	}
	if err := s.wait(p.health, ended); err != nil {
		ended <- nil
		return Server{}, nil, errors.Join(fmt.Errorf("start the S3 server: %w\n%s", err, cmd.Stderr), stop())
	}
	return s, stop, nil
}

// prepare is the server over a directory of its own.
func (p product) prepare(path, dir string) (*exec.Cmd, string, error) {
	for _, sub := range []string{dataDir, metaDir, iamDir} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, "", err
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, "", err
	}
	cmd := exec.Command(path, p.args(address, dir)...)
	cmd.Env = append([]string{"HOME=" + dir, "TMPDIR=" + dir}, p.env...)
	cmd.Dir = dir
	cmd.Stderr = &strings.Builder{}
	return cmd, address, nil
}

// wait returns when the server answers.
func (s Server) wait(health string, ended <-chan error) error {
	deadline := time.After(startTimeout)
	for {
		resp, err := http.Get(s.Endpoint + health)
		if err == nil {
			if err := resp.Body.Close(); err != nil {
				return err
			}
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case err := <-ended:
			return fmt.Errorf("it ended: %v", err)
		case <-deadline:
			return errors.New("no answer in time")
		case <-time.After(5 * time.Millisecond):
		}
	}
}
