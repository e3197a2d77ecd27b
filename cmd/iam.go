package cmd

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/store"
)

func (p *Program) newIAM() *cobra.Command {
	var (
		s  settings
		id string
	)
	command := &cobra.Command{
		Use:   "iam host|build-box|operator",
		Short: "Print the least policy with which a role can do its work",
		Long: `Iam prints a policy for a bucket of S3, in the language of IAM: what a host needs, a
build box, or an operator, and nothing else. It asks the bucket nothing.

A host may write its own report and votes only, under the name that it has in keys,
FTL_HOST_ID. In the policy that is --id: ${aws:userid} for the role of a machine and for
a user, where FTL_HOST_ID is auto; ${aws:username} for a user; another variable of
policies; a name; or * where all hosts have the same credentials.

On AWS a build box may only create objects, and replace none. Other servers know no
such condition: with AWS_ENDPOINT_URL it is left out, and --id is ${aws:username}.`,
		Example: `  ftl iam host --bucket my-releases > host.json
  ftl iam build-box --bucket s3://my-releases/team-a
  ftl iam host --bucket my-releases --id '${aws:PrincipalTag/ftl-node}'`,
		Args:      one("ROLE"),
		ValidArgs: roleNames(),
		RunE: func(command *cobra.Command, args []string) error {
			return p.iam(command, s, args[0], id)
		},
	}
	command.ValidArgsFunction = cobra.FixedCompletions(roleNames(), cobra.ShellCompDirectiveNoFileComp)
	p.addSettings(command, &s, settingBucket)
	command.Flags().StringVar(&id, "id", "", "what FTL_HOST_ID is on a host (default ${aws:userid}, or ${aws:username})")
	return command
}

func roleNames() []string {
	var names []string
	for _, role := range catalog.Roles() {
		names = append(names, string(role))
	}
	return names
}

// The names of a host in policies: what S3 knows of whoever asks.
const (
	byUserID   = "${aws:userid}"
	byUserName = "${aws:username}"
)

func (p *Program) iam(command *cobra.Command, s settings, name, id string) error {
	role, err := catalog.ParseRole(name)
	if err != nil {
		return usage(err, "for example: ftl iam host --bucket my-releases")
	}
	if id != "" && role != catalog.RoleHost {
		return usage(errors.New("--id is for a host"), "for example: ftl iam host --id web1")
	}
	bucket, err := p.bucket(command.Context(), s)
	if err != nil {
		return err
	}
	place, ok := store.PlaceOf(bucket.Bucket)
	if !ok {
		return usage(fmt.Errorf("%s is a directory, for which there are no policies", s.bucket), "for example: ftl iam host --bucket my-releases")
	}
	usual := byUserName
	if place.Amazon() {
		usual = byUserID
	}
	id = cmp.Or(id, usual)
	if !strings.ContainsAny(id, "$*") { // a name
		id = catalog.NodeOf(id).String()
	}
	policy := role.Policy(place, id)
	if p.json {
		return p.writeJSON(policy)
	}
	text, err := json.MarshalIndent(policy, "", "  ")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		p.print("%s", strings.TrimSuffix(line, "\n"))
	}
	return nil
}
