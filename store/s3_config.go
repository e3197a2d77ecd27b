package store

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
)

// A SettingError says which variable of the SDK makes no sense.
type SettingError struct {
	Variable string
	Cause    string
	Example  string // a value that would do, "" where there is none
}

func (e *SettingError) Error() string { return e.Variable + ": " + e.Cause }

// explainConfig says what is wrong with the configuration that the SDK could not
// load.
func explainConfig(name string, err error) error {
	env, envErr := config.NewEnvConfig()
	if envErr != nil {
		env = config.EnvConfig{}
	}
	if cause := checkCertificates(env.CustomCABundle); cause != "" {
		return &SettingError{"AWS_CA_BUNDLE", cause, "/etc/ssl/certs/ca-certificates.crt"}
	}
	if absent, ok := errors.AsType[config.SharedConfigProfileNotExistError](err); ok && env.SharedConfigProfile != "" {
		return &SettingError{"AWS_PROFILE", fmt.Sprintf("there is no profile %q in ~/.aws/config and ~/.aws/credentials", absent.Profile), ""}
	}
	return &Error{Op: "open", Key: name, Err: unwrapped(err), Hint: "see AWS_PROFILE, ~/.aws/config and ~/.aws/credentials"}
}

// checkCertificates says why a file has no certificates, "" where it has some or
// there is none.
func checkCertificates(path string) string {
	if path == "" {
		return ""
	}
	text, err := os.ReadFile(path)
	switch {
	case err != nil:
		return err.Error()
	case !x509.NewCertPool().AppendCertsFromPEM(text):
		return path + " has no certificates in PEM form"
	}
	return ""
}

// checkEndpoint refuses what is not the URL of a server; nil is Amazon's. What it
// says has no user and password in it.
func checkEndpoint(endpoint *string) error {
	if endpoint == nil {
		return nil
	}
	cause, example := endpointFault(*endpoint)
	if cause == "" {
		return nil
	}
	variable := "AWS_ENDPOINT_URL_S3"
	if env, err := config.NewEnvConfig(); err == nil && env.BaseEndpoint == *endpoint {
		variable = "AWS_ENDPOINT_URL"
	}
	return &SettingError{variable, cause, example}
}

const exampleEndpoint = "http://localhost:9000"

func endpointFault(endpoint string) (cause, example string) {
	scheme, rest, found := strings.Cut(endpoint, "://")
	u, err := url.Parse(endpoint)
	switch {
	case strings.Contains(endpoint, "@"):
		return "it has a user or a password, and " + keysElsewhere, exampleEndpoint
	case !found:
		if u, err := url.Parse("http://" + endpoint); err == nil && u.Host != "" {
			return fmt.Sprintf("%q has no scheme", endpoint), "https://" + endpoint
		}
		return fmt.Sprintf("%q is not a URL", endpoint), exampleEndpoint
	case err != nil || u.Host == "":
		return fmt.Sprintf("%q is not a URL", endpoint), exampleEndpoint
	case scheme != "http" && scheme != "https":
		return fmt.Sprintf("%q has another scheme than http and https", endpoint), "https://" + rest
	}
	return "", ""
}

// keysElsewhere says where keys belong, which would be in logs if they were in a
// URL.
const keysElsewhere = "keys are taken from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or from a profile"
