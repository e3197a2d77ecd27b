package s3test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// product is an S3 server that the tests may use. FTL_TEST_S3 chooses one by its name.
type product struct {
	module string // where it is pinned, below testdata/s3
	tool   string
	env    []string
	args   func(address, dir string) []string
	health string // a path that answers when it is ready

	keepsFiles bool // an object is the file <bucket>/<key> in its data directory

	// identities makes somebody for each policy.
	identities func(ctx context.Context, p product, s Server, bucket string, policies map[string]string) (map[string]Server, error)
}

const (
	accessKey = "ftl-test"
	secretKey = "ftl-test-secret"
	region    = "us-east-1"

	dataDir = "data"
	metaDir = "meta"
	iamDir  = "iam"
)

const defaultProduct = "versitygw"

var products = map[string]product{
	// Metadata go to files rather than to extended attributes, which not every file system has.
	defaultProduct: {
		module: ".", tool: "versitygw", health: "/-health", keepsFiles: true, identities: users,
		env: []string{"ROOT_ACCESS_KEY_ID=" + accessKey, "ROOT_SECRET_ACCESS_KEY=" + secretKey},
		args: func(address, dir string) []string {
			return []string{"--port", address, "--quiet", "--keep-alive", "--health", "/-health", "--iam-dir", filepath.Join(dir, iamDir),
				"posix", "--sidecar", filepath.Join(dir, metaDir), filepath.Join(dir, dataDir)}
		},
	},
	// Its file system may be that of the root directory.
	"minio": {
		module: "minio", tool: "minio", health: "/minio/health/ready", identities: sessions,
		env: []string{"MINIO_ROOT_USER=" + accessKey, "MINIO_ROOT_PASSWORD=" + secretKey, "MINIO_SITE_REGION=" + region,
			"MINIO_BROWSER=off", "MINIO_UPDATE=off", "MINIO_CI_CD=on"},
		args: func(address, dir string) []string {
			return []string{"server", "--quiet", "--address", address, "--certs-dir", filepath.Join(dir, metaDir), filepath.Join(dir, dataDir)}
		},
	},
}

// chosen returns the server that FTL_TEST_S3 names.
func chosen() (product, error) {
	name := os.Getenv("FTL_TEST_S3")
	if name == "" {
		name = defaultProduct
	}
	p, ok := products[name]
	if !ok {
		return product{}, fmt.Errorf("FTL_TEST_S3: there is no S3 server %q", name)
	}
	return p, nil
}

var builds struct {
	sync.Mutex
	paths map[string]string
}

// binary builds the server where need be and returns its path. The go command sees to it that
// several test processes can ask at once. For a user who can't build it, FTL_TEST_S3_SERVER is the
// path of one that was built.
func (p product) binary() (string, error) {
	if path := os.Getenv("FTL_TEST_S3_SERVER"); path != "" {
		return path, nil
	}
	builds.Lock()
	defer builds.Unlock()
	if path := builds.paths[p.tool]; path != "" {
		return path, nil
	}
	module, err := goCommand(".", "env", "GOMOD")
	if err != nil {
		return "", err
	}
	path, err := goCommand(filepath.Join(filepath.Dir(module), "testdata", "s3", p.module), "tool", "-n", p.tool)
	if err == nil {
		builds.paths = map[string]string{p.tool: path}
	}
	return path, err
}

// goCommand returns what a go command prints. The module of the server is no part of a workspace,
// nor of a vendored build.
func goCommand(dir string, args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOOS=", "GOARCH=", "GOFLAGS=-buildvcs=false")
	cmd.Stderr = &strings.Builder{}
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, cmd.Stderr)
	}
	return strings.TrimSpace(string(out)), nil
}
