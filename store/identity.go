package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Identity is who the credentials for a bucket belong to.
type Identity struct {
	ID  string // as ${aws:userid} is in policies, such as AROAEXAMPLE:i-0abc
	ARN string
}

// ErrNoIdentity says that nobody can be asked who the credentials of a bucket belong to: it is a
// directory, or on a server that is not Amazon's.
var ErrNoIdentity = errors.New("nobody can tell who the credentials of this bucket belong to")

// identityLimit is how long an identity is waited for.
const identityLimit = 2 * time.Second

// Identify asks Amazon, for two seconds at most, who the credentials for a bucket belong to. Where
// the bucket has an endpoint of its own, only a server that AWS_ENDPOINT_URL_STS names is asked;
// otherwise that is ErrNoIdentity.
func Identify(ctx context.Context, b Bucket) (Identity, error) {
	s3, ok := b.(*s3Bucket)
	if !ok {
		return Identity{}, ErrNoIdentity
	}
	client := sts.NewFromConfig(s3.config, func(o *sts.Options) {
		o.HTTPClient = downloadClient(s3.limits)
		o.Retryer = retry.AddWithMaxAttempts(retry.NewStandard(), 2)
	})
	own := client.Options().BaseEndpoint
	general := s3.config.BaseEndpoint
	if s3.down.Options().BaseEndpoint != nil && (own == nil || general != nil && *own == *general) {
		return Identity{}, ErrNoIdentity
	}
	limited, stop := context.WithTimeoutCause(ctx, identityLimit, errNoAnswer)
	defer stop()
	caller, err := client.GetCallerIdentity(limited, &sts.GetCallerIdentityInput{})
	switch {
	case limited.Err() != nil:
		return Identity{}, fmt.Errorf("ask who the credentials belong to: %w", context.Cause(limited))
	case err != nil:
		return Identity{}, fmt.Errorf("ask who the credentials belong to: %w", innermost(unwrapped(err)))
	}
	return Identity{ID: aws.ToString(caller.UserId), ARN: aws.ToString(caller.Arn)}, nil
}
