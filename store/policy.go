package store

import (
	"encoding/json"
	"strings"
)

// Place is where a bucket of S3 is, as policies name it. The zero value is nowhere.
type Place struct {
	partition string // of Amazon's cloud
	bucket    string
	prefix    string // "" or with a slash at the end
	amazon    bool
}

// PlaceOf returns the place of a bucket, and false where it is none of S3.
func PlaceOf(b Bucket) (Place, bool) {
	s3, ok := b.(*s3Bucket)
	if !ok {
		return Place{}, false
	}
	options := s3.down.Options()
	p := Place{partition: partition(options.Region), bucket: s3.name, prefix: s3.prefix, amazon: options.BaseEndpoint == nil}
	if !p.amazon {
		p.partition = "aws"
	}
	return p, true
}

// partition is the part of Amazon's cloud that a region is in.
func partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// Amazon reports whether the bucket is Amazon's, and not that of another server.
func (p Place) Amazon() bool { return p.amazon }

// Resource is the bucket in a policy.
func (p Place) Resource() string { return "arn:" + p.partition + ":s3:::" + p.bucket }

// Resources are the objects in a policy whose keys match a pattern, in which * stands for anything.
func (p Place) Resources(patterns ...string) []string {
	var all []string
	prefix := strings.NewReplacer("*", "${*}", "?", "${?}", "$", "${$}").Replace(p.prefix)
	for _, pattern := range patterns {
		all = append(all, p.Resource()+"/"+prefix+pattern)
	}
	return all
}

// Policy says what somebody may do, in the language of IAM. As JSON it is what IAM takes for a role
// or a user.
type Policy struct {
	Version   string      `json:"Version"`
	Statement []Statement `json:"Statement"`
}

// NewPolicy returns a policy of these statements.
func NewPolicy(statements ...Statement) Policy { return Policy{"2012-10-17", statements} }

// Statement allows or denies some actions on some resources.
type Statement struct {
	Effect    string                       `json:"Effect"`
	Action    oneOrMore                    `json:"Action"`
	Resource  oneOrMore                    `json:"Resource"`
	Condition map[string]map[string]string `json:"Condition,omitempty"`
}

// The actions that ftl needs.
const (
	ListObjects  = "s3:ListBucket"
	GetObject    = "s3:GetObject"
	PutObject    = "s3:PutObject"
	DeleteObject = "s3:DeleteObject"
	// AbortUpload gives up the parts of an upload that is too large for one request.
	AbortUpload = "s3:AbortMultipartUpload"
)

// Allow returns a statement that allows actions.
func Allow(resources []string, actions ...string) Statement {
	return Statement{Effect: "Allow", Action: actions, Resource: resources}
}

// Deny returns a statement that denies actions, whatever others allow.
func Deny(resources []string, actions ...string) Statement {
	return Statement{Effect: "Deny", Action: actions, Resource: resources}
}

// AllowCreate returns statements that allow to put objects only where there is none, on a server
// that can tell. The parts of an upload carry no condition; the request that makes an object of
// them does.
func (p Place) AllowCreate(patterns ...string) []Statement {
	whole := Allow(p.Resources(patterns...), PutObject)
	if !p.amazon {
		return []Statement{whole}
	}
	parts := whole
	whole.Condition = map[string]map[string]string{"Null": {"s3:if-none-match": "false"}}
	parts.Condition = map[string]map[string]string{"Bool": {"s3:ObjectCreationOperation": "false"}}
	return []Statement{whole, parts}
}

// oneOrMore is a string in JSON where it is one, as people write it.
type oneOrMore []string

// MarshalJSON is that of a string, or of a list.
func (s oneOrMore) MarshalJSON() ([]byte, error) {
	if len(s) == 1 {
		return json.Marshal(s[0])
	}
	return json.Marshal([]string(s))
}
