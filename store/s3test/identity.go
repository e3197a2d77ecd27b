package s3test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Identities returns the server for somebody new under each name, who may do with a bucket only
// what a policy of IAM says. They are all there are for the bucket, beside its owner. A variable in
// a policy has no meaning.
func (s Server) Identities(ctx context.Context, bucket string, policies map[string]string) (map[string]Server, error) {
	p, err := chosen()
	if err != nil {
		return nil, err
	}
	return p.identities(ctx, p, s, bucket, policies)
}

// sessions are identities of a server that gives out credentials which a policy bounds.
func sessions(ctx context.Context, _ product, s Server, _ string, policies map[string]string) (map[string]Server, error) {
	client := sts.New(sts.Options{
		BaseEndpoint: &s.Endpoint, Region: s.Region, Credentials: credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, ""),
	})
	all := make(map[string]Server)
	for name, policy := range policies {
		out, err := client.AssumeRole(ctx, &sts.AssumeRoleInput{
			RoleArn: aws.String("arn:aws:iam::000000000000:role/" + name), RoleSessionName: &name, Policy: &policy, // the names mean nothing there
		})
		if err != nil {
			return nil, fmt.Errorf("make the identity %s: %w", name, err)
		}
		one := s
		one.AccessKey, one.SecretKey, one.SessionToken = *out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken
		all[name] = one
	}
	return all, nil
}

// users are identities of a server that has them, and a policy for each bucket.
func users(ctx context.Context, p product, s Server, bucket string, policies map[string]string) (map[string]Server, error) {
	path, err := p.binary()
	if err != nil {
		return nil, err
	}
	all := make(map[string]Server)
	together := struct {
		Version   string
		Statement []map[string]any
	}{Version: "2012-10-17"}
	for name, policy := range policies {
		one := s
		one.AccessKey = bucket + "-" + name // the server has them for all buckets
		cmd := exec.CommandContext(ctx, path, "admin", "--access", s.AccessKey, "--secret", s.SecretKey, "--endpoint-url", s.Endpoint,
			"create-user", "--access", one.AccessKey, "--secret", one.SecretKey, "--role", "user")
		cmd.Env = append(os.Environ(), "NO_PROXY=127.0.0.1")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("make the identity %s: %w\n%s", name, err, out)
		}
		all[name] = one
		var document struct{ Statement []map[string]any }
		if err := json.Unmarshal([]byte(policy), &document); err != nil {
			return nil, err
		}
		for _, statement := range document.Statement {
			statement["Principal"] = map[string]string{"AWS": one.AccessKey}
			together.Statement = append(together.Statement, statement)
		}
	}
	text, err := json.Marshal(together)
	if err != nil {
		return nil, err
	}
	_, err = s.client().PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: &bucket, Policy: aws.String(string(text))})
	if err != nil {
		return nil, fmt.Errorf("set the policy of bucket %s: %w", bucket, err)
	}
	return all, nil
}
