package store

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// errNotS3 stands for an answer that no S3 server gives.
var errNotS3 = errors.New("the answer is not from an S3 bucket")

const notS3Hint = "see AWS_ENDPOINT_URL, and whether a proxy or the login page of a network answered"

func notS3(op, key string) error {
	return &Error{Op: op, Key: key, Err: errNotS3, Hint: notS3Hint}
}

// meanings are the codes of S3 that users can do something about. Any other code is shown with the
// server's own message.
var meanings = map[string]struct{ text, hint string }{
	"AccessDenied":          {accessDenied, ""},
	"Forbidden":             {accessDenied, ""},
	"AllAccessDisabled":     {accessDenied, ""},
	"InvalidAccessKeyId":    {"the access key is unknown", "see AWS_ACCESS_KEY_ID and AWS_PROFILE"},
	"SignatureDoesNotMatch": {"the secret key does not fit the access key", "see AWS_SECRET_ACCESS_KEY"},
	"ExpiredToken":          {"the credentials have expired", expiredHint},
	"ExpiredTokenException": {"the credentials have expired", expiredHint},
	"TokenRefreshRequired":  {"the credentials have expired", expiredHint},
	"InvalidToken":          {"the session token is not valid", "see AWS_SESSION_TOKEN"},
	"RequestTimeTooSkewed":  {"the clock of this machine is wrong", "set the clock, or start its synchronisation"},
	"RequestExpired":        {"the clock of this machine is wrong", "set the clock, or start its synchronisation"},
	"SlowDown":              {"the bucket is overloaded", "try again later"},
	"EntityTooLarge":        {"the object is larger than the bucket takes", ""},
	"QuotaExceeded":         {"the bucket is full", ""},
	"BadDigest":             {errDigest.Error(), ""},

	"XAmzContentChecksumMismatch": {errDigest.Error(), ""},
	"XAmzContentSHA256Mismatch":   {errDigest.Error(), ""},
}

const (
	accessDenied = "access denied" // its hint depends on the operation

	expiredHint = "log in again, or renew AWS_SESSION_TOKEN"
	credsHint   = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the machine a role"
)

// deniedHint names the permission that an operation needs.
func deniedHint(op string) string {
	switch op {
	case "put":
		return "writing it needs the permission s3:PutObject"
	case "delete":
		return "deleting it needs the permission s3:DeleteObject"
	case "list":
		return "listing needs the permission s3:ListBucket on the bucket"
	}
	return "reading it needs s3:GetObject; a missing object looks like this too without the permission s3:ListBucket"
}

// explain returns an error of the SDK in the terms of the contract, short enough to read. An error
// that already is in those terms stays as it is.
func (b *s3Bucket) explain(ctx context.Context, op, key string, err error) error {
	var ours *Error
	var creds *credentialsError
	var api smithy.APIError
	fail := func(err error, hint string) error { return &Error{Op: op, Key: key, Err: err, Hint: hint} }
	switch {
	case errors.As(err, &ours):
		return err
	case ctx.Err() != nil:
		return fail(context.Cause(ctx), "")
	case errors.Is(err, ErrPrecondition):
		return precondition(op, key)
	case errors.Is(err, errNotS3):
		return notS3(op, key)
	case errors.As(err, &creds):
		return fail(&summary{noCredentials(creds.err), creds.err}, credsHint)
	case errors.As(err, &api):
		return b.explainAnswer(op, key, api, err)
	}
	if status, _ := response(err); status != 0 {
		return fail(notBucket(status), notS3Hint)
	}
	text, hint := network(err)
	return fail(&summary{text, err}, hint)
}

// explainAnswer is explain for what the bucket itself said.
func (b *s3Bucket) explainAnswer(op, key string, api smithy.APIError, err error) error {
	status, header := response(err)
	code := api.ErrorCode()
	fail := func(text, hint string) error {
		return &Error{Op: op, Key: key, Err: &summary{text + codeOf(code, status), err}, Hint: hint}
	}
	meaning, known := meanings[code]
	region := header.Get("X-Amz-Bucket-Region")
	switch {
	case status == http.StatusPreconditionFailed, code == "PreconditionFailed":
		return precondition(op, key)
	case isInvented(api, status):
		return &Error{Op: op, Key: key, Err: notBucket(status), Hint: notS3Hint}
	case code == "NoSuchKey" && op != "list":
		return absent(op, key)
	case code == "NoSuchBucket":
		return fail("there is no bucket "+b.name, "see FTL_BUCKET, AWS_ENDPOINT_URL and AWS_PROFILE")
	case status/100 == 3 || region != "" && isRegion(code):
		return fail(redirect(b.name, region, header.Get("Location")))
	case known && meaning.text == accessDenied, !known && status == http.StatusForbidden:
		err = errors.Join(fs.ErrPermission, err)
		return fail(accessDenied, deniedHint(op))
	case known:
		return fail(meaning.text, meaning.hint)
	}
	return fail(message(api, status), "")
}

// isInvented reports whether the SDK made up the code of an answer that is not from S3: a 404 of
// another server must not look like a missing object.
func isInvented(api smithy.APIError, status int) bool {
	text := http.StatusText(status)
	return api.ErrorMessage() == text && api.ErrorCode() == strings.ReplaceAll(text, " ", "")
}

func notBucket(status int) error {
	return fmt.Errorf("%w: status %d, %s", errNotS3, status, strings.ToLower(http.StatusText(status)))
}

// isRegion reports whether a code can mean that a request was signed for another region than the
// bucket's.
func isRegion(code string) bool {
	return code == "AuthorizationHeaderMalformed" || code == "IllegalLocationConstraintException"
}

func redirect(bucket, region, location string) (text, hint string) {
	if region != "" {
		return fmt.Sprintf("the bucket %s is in the region %s", bucket, region), "set AWS_REGION=" + region
	}
	if u, err := url.Parse(location); err == nil && u.Host != "" {
		return "the answer redirects to " + u.Host, "see AWS_REGION and AWS_ENDPOINT_URL"
	}
	return "the bucket is in another region", "see AWS_REGION"
}

// codeOf returns the code, for somebody who has to search for it.
func codeOf(code string, status int) string {
	if code == "" || strings.Contains(code, " ") || code == "UnknownError" {
		return fmt.Sprintf(" (status %d)", status)
	}
	return " (" + code + ")"
}

// message is what the server said, in one line.
func message(api smithy.APIError, status int) string {
	text := strings.Join(strings.Fields(api.ErrorMessage()), " ")
	if text == "" || text == "UnknownError" {
		text = strings.ToLower(http.StatusText(status))
	}
	if len(text) > 200 {
		text = text[:200] + "…"
	}
	return "the bucket says: " + strings.TrimSuffix(text, ".")
}

// response returns the status and the header of an answer with an error, 0 and an empty header
// where there was none.
func response(err error) (status int, header http.Header) {
	var resp *smithyhttp.ResponseError
	if !errors.As(err, &resp) || resp.Response == nil {
		return 0, http.Header{}
	}
	return resp.Response.StatusCode, resp.Response.Header
}

// explainPut is explain for the errors that only a write has.
func (b *s3Bucket) explainPut(ctx context.Context, key string, opts PutOptions, err error) error {
	status, _ := response(err)
	code := codeFrom(err)
	conditional := opts.IfAbsent || opts.IfMatch != ""
	switch {
	case errors.Is(err, errDigest):
		return &Error{Op: "put", Key: key, Err: errDigest}
	case opts.IfMatch != "" && status == http.StatusNotFound && code != "NoSuchBucket":
		return precondition("put", key) // what Amazon says of If-Match without an object
	case conditional && (status == http.StatusNotImplemented || status == http.StatusBadRequest && isUnsupported(code)):
		return &Error{Op: "put", Key: key, Hint: conditionsHint,
			Err: &summary{ErrNoConditions.Error() + codeOf(code, status), ErrNoConditions}}
	}
	return b.explain(ctx, "put", key, err)
}

// isUnsupported reports whether a code of status 400 can mean that the server has no conditional
// writes. Other codes are about the request itself.
func isUnsupported(code string) bool {
	switch code {
	case "NotImplemented", "InvalidArgument", "InvalidRequest", "UnsupportedHeader", "BadRequest", "UnknownError", "":
		return true
	}
	return false
}

func codeFrom(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return ""
	}
	return api.ErrorCode()
}

// isAnswer reports whether an error is an answer of a bucket, and not a failed connection.
func isAnswer(err error) bool {
	var api smithy.APIError
	var creds *credentialsError
	return errors.As(err, &api) && !errors.As(err, &creds) || errors.Is(err, ErrPrecondition)
}

func isConflict(err error) bool {
	code := codeFrom(err)
	return code == "ConditionalRequestConflict" || code == "OperationAborted"
}

// unchangedError says that a conditional read found an object unchanged, and when.
type unchangedError struct{ date time.Time }

func (e *unchangedError) Error() string { return ErrUnchanged.Error() }

// isUnchanged reports whether an answer says that the object is unchanged, and the bucket's clock,
// which is zero if the answer has no date.
func isUnchanged(err error) (date time.Time, is bool) {
	var unchanged *unchangedError
	if errors.As(err, &unchanged) {
		return unchanged.date, true
	}
	status, header := response(err)
	if status != http.StatusNotModified {
		return time.Time{}, false
	}
	date, _ = http.ParseTime(header.Get("Date")) // zero where there is none
	return date, true
}

func isBeyondEnd(err error) bool {
	status, _ := response(err)
	return status == http.StatusRequestedRangeNotSatisfiable
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// network says what is wrong with a connection.
func network(err error) (text, hint string) {
	var dns *net.DNSError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "there is no host " + dns.Name, "see AWS_ENDPOINT_URL, AWS_REGION and the network"
	case errors.As(err, &dns):
		return "the host " + dns.Name + " can't be looked up: " + dns.Err, "see the network and /etc/resolv.conf"
	case errors.Is(err, errStalled), errors.Is(err, errSlow), errors.Is(err, errRange), errors.Is(err, errNoAnswer):
		return innermost(err).Error(), networkHint
	case errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time", networkHint
	}
	return innermost(err).Error(), networkHint
}

const networkHint = "see the network, AWS_ENDPOINT_URL and AWS_REGION"

// innermost returns the cause without what the SDK and net/http say before it. It stops where the
// error still says what was being done.
func innermost(err error) error {
	var op *net.OpError
	var cert *tls.CertificateVerificationError
	switch {
	case errors.As(err, &op):
		return op
	case errors.As(err, &cert):
		return cert
	}
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// unwrapped leaves out what the SDK says before the cause: how far it had come when it looked for
// credentials. It does not leave out more, since each cause says more than the one below it.
func unwrapped(err error) error {
	for isNoise(err) {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
	return err
}

// noCredentials says why there are none. The SDK says that the machine has no role when nothing
// else was configured.
func noCredentials(err error) string {
	cause := unwrapped(err).Error()
	if strings.HasPrefix(cause, "no EC2 IMDS role found") {
		return "there are no credentials"
	}
	return "no usable credentials: " + cause
}

// isNoise recognizes them by their text, as most have no type of their own.
func isNoise(err error) bool {
	text := err.Error()
	for _, prefix := range []string{"get identity: ", "get credentials: ", "failed to refresh cached credentials, ",
		"failed to sign request: ", "failed to load "} {
		if strings.HasPrefix(text, prefix) {
			return true
		}
	}
	return false
}
