package store

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
)

// machineRole is the client of the metadata service of a cloud's machines. The SDK asks it last,
// also where there is no such service, so it must be quick.
type machineRole struct {
	client *imds.Client
	limit  time.Duration
}

// GetMetadata is what the SDK needs of it.
func (r *machineRole) GetMetadata(ctx context.Context, in *imds.GetMetadataInput, opts ...func(*imds.Options)) (*imds.GetMetadataOutput, error) {
	// The context ends with the timer and not at the return, as the answer is read later.
	ctx, cancel := context.WithCancel(ctx)
	time.AfterFunc(r.limit, cancel)
	return r.client.GetMetadata(ctx, in, opts...)
}

// credentials marks the errors of the SDK's chain, to distinguish "there are none" from an answer
// of the bucket.
type credentials struct{ next aws.CredentialsProvider }

func (c *credentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	creds, err := c.next.Retrieve(ctx)
	if err != nil {
		return creds, &credentialsError{err}
	}
	return creds, nil
}

type credentialsError struct{ err error }

func (e *credentialsError) Error() string { return e.err.Error() }
func (e *credentialsError) Unwrap() error { return e.err }
