package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/hooks"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// What findings are about.
const (
	onName        = "name"
	onRoot        = "root"
	onDisk        = "disk"
	onPackage     = "package"
	onHooks       = "hooks"
	onSchedule    = "schedule"
	onBucket      = "bucket"
	onClock       = "clock"
	onIdentity    = "identity"
	onPermissions = "permissions"
	onConditions  = "conditions"
)

// Surroundings are what a host runs in.
type Surroundings struct {
	System string // the root of the file system; "" is /
	Path   string // PATH, as hooks inherit it
}

// Examine looks at all that a sync needs, and says of each thing how it is. It takes no lock, and
// changes nothing, neither here nor in the bucket.
func (h *Host) Examine(ctx context.Context, in Surroundings) []ftl.Finding {
	h.recognize(ctx, false)
	e := &examination{Host: h, in: in}
	e.name()
	packages := e.root()
	for _, pkg := range packages {
		e.pkg(pkg)
	}
	e.schedule()
	if h.Open != nil {
		e.bucket(ctx, packages)
	}
	return e.found
}

// examination is what has been found until now.
type examination struct {
	*Host
	in    Surroundings
	found []ftl.Finding
}

func (e *examination) say(verdict ftl.Verdict, about, hint, format string, args ...any) {
	e.found = append(e.found, ftl.Finding{About: about, Verdict: verdict, Message: fmt.Sprintf(format, args...), Hint: hint})
}

func (e *examination) fine(about, format string, args ...any) {
	e.say(ftl.Fine, about, "", format, args...)
}

// fail says that something is wrong, as an error tells it.
func (e *examination) fail(about string, err error) {
	e.say(ftl.Wrong, about, hintOf(err), "%v", err)
}

func (e *examination) name() {
	switch {
	case e.unnamed != nil:
		e.say(ftl.Wrong, onName, "set FTL_HOST_ID to the name that the policy gives this host: ftl help permissions",
			"FTL_HOST_ID is auto, and nobody tells what that is: %v", e.unnamed)
	case e.node().String() == e.Node:
		e.fine(onName, "%s", e.Node)
	default:
		e.fine(onName, "%s, in keys of the bucket %s", e.Node, e.node())
	}
}

// root looks at the tree as a whole, and returns the packages in it.
func (e *examination) root() []revision.Package {
	info, err := os.Stat(e.Root)
	if err != nil {
		e.fail(onRoot, rootError(e.Root, err))
		return nil
	}
	packages, err := e.Packages()
	if err != nil {
		e.fail(onRoot, err)
		return nil
	}
	owner, _ := tree.OwnerOf(info)
	who := fmt.Sprintf("%s, of %s, mode %04o", e.Root, tree.AccountOf(owner), info.Mode().Perm())
	switch {
	case len(packages) == 0:
		e.say(ftl.Wrong, onRoot, "to subscribe: ftl subscribe PACKAGE", "%s; this host is subscribed to nothing", who)
	case owner != os.Geteuid():
		e.say(ftl.Note, onRoot, "", "%s; you are %s", who, tree.AccountOf(os.Geteuid()))
	default:
		e.fine(onRoot, "%s", who)
	}
	e.disk()
	return packages
}

// How much has to be free, so that it will do for some time.
const (
	littleSpace  = 256 << 20 // bytes
	littleInodes = 10_000
)

func (e *examination) disk() {
	free, inodes, err := tree.Free(e.Root)
	const gib = 1 << 30
	switch {
	case err != nil:
		e.fail(onDisk, err)
	case tree.IsReadOnly(e.Root):
		e.say(ftl.Wrong, onDisk, "mount -o remount,rw "+quoted(tree.MountOf(e.Root)), "%s is on a read-only file system", e.Root)
	case free < littleSpace || inodes < littleInodes:
		e.say(ftl.Wrong, onDisk, "what fills it: du -xh "+quoted(tree.MountOf(e.Root))+" | sort -h | tail; what ftl keeps: FTL_KEEP, and ftl clean",
			"%.1f GiB and %d inodes are free in %s", float64(free)/gib, inodes, tree.MountOf(e.Root))
	default:
		e.fine(onDisk, "%.1f GiB are free in %s", float64(free)/gib, tree.MountOf(e.Root))
	}
}

// pkg looks whether this user may change a package, and whether its hooks could run.
func (e *examination) pkg(name revision.Package) {
	p := e.open(name)
	defer p.Close()
	if err := cmp.Or(p.mustExist(), p.CheckCurrent(), p.checkAlone()); err != nil {
		e.fail(onPackage, err)
		return
	}
	asSync := *e.Host // whose command is in the hint
	asSync.Command = "ftl sync " + name.String()
	sync := asSync.open(name)
	defer sync.Close()
	if err := sync.Refused(); err != nil {
		e.fail(onPackage, err)
		return
	}
	st, err := p.ReadState()
	if err != nil {
		e.fail(onPackage, err)
		return
	}
	e.fine(onPackage, "%s is this user's, and nobody else may change it", name)
	e.hooks(p, st)
}

// hooks looks at the hooks of the revisions that may be jumped to next, and of what runs.
func (e *examination) hooks(p *pkg, st *tree.State) {
	ready := st.ReadyRevisions()
	links, err := p.Links()
	if err != nil {
		e.fail(onHooks, err)
		return
	}
	var looked []revision.Revision
	for _, r := range append(ready[max(0, len(ready)-1):], links.Current, links.Previous) {
		if st.IsReady(r) && !slices.Contains(looked, r) {
			looked = append(looked, r)
		}
	}
	runnable := 0
	for _, r := range looked {
		for _, name := range hooks.Names() {
			switch has, err := e.checkHook(p, r, name); {
			case err != nil:
				verdict := ftl.Wrong
				if r == links.Previous { // which a deploy may have mended
					verdict = ftl.Note
				}
				e.say(verdict, onHooks, "install what it needs, or mend it and spool "+p.Name.String()+" again", "%s of %s can't run: %v", name, r, err)
			case has:
				runnable++
			}
		}
	}
	if runnable > 0 {
		e.fine(onHooks, "%d hooks of %d revisions of %s can run", runnable, len(looked), p.Name)
	}
}

// checkHook reports whether a revision has a hook, and why that could not run.
func (e *examination) checkHook(p *pkg, r revision.Revision, name hooks.Name) (has bool, err error) {
	dir, err := p.OpenRevision(r)
	if err != nil {
		return false, err
	}
	defer dir.Close()
	script, err := hooks.Find(dir.File(), name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return true, err
	}
	return true, script.Check(e.in.Path)
}

// schedule looks for what runs sync, and whether it does.
func (e *examination) schedule() {
	const hint = "systemctl enable --now ftl-sync.timer; or a line for crontab -e: * * * * * FTL_SPLAY=50s ftl sync --cron"
	seen := e.in.schedule()
	m := e.recall()
	ran := ""
	late := true
	if len(m.Syncs) > 0 {
		last := m.Syncs[len(m.Syncs)-1]
		age := max(0, time.Since(last)).Round(time.Second)
		late = age > max(3*m.every(), cronPatience)
		ran = fmt.Sprintf("the last sync began %v ago", age)
		if every := m.every(); every > 0 {
			ran += fmt.Sprintf(", one each %v", every)
		}
	}
	switch {
	case ran == "" && seen == "":
		e.say(ftl.Wrong, onSchedule, hint, "no sync of all packages has run as %s, and neither a timer nor cron is seen that would run it", tree.AccountOf(os.Geteuid()))
	case ran == "":
		e.say(ftl.Wrong, onSchedule, "what it says: journalctl -u ftl-sync, or the mail of cron", "%s is there, and no sync of all packages has run as %s", seen, tree.AccountOf(os.Geteuid()))
	case late && seen == "":
		e.say(ftl.Wrong, onSchedule, hint, "%s, and neither a timer nor cron is seen that would run it", ran)
	case late:
		e.say(ftl.Wrong, onSchedule, "what it says: journalctl -u ftl-sync, or the mail of cron", "%s is there, but %s", seen, ran)
	case seen == "":
		e.say(ftl.Note, onSchedule, "", "%s; neither a timer nor cron is seen that runs it", ran)
	default:
		e.fine(onSchedule, "%s; %s", seen, ran)
	}
}

// schedule names what would run sync, "" where nothing is seen. What this user can't read is not
// seen.
func (in Surroundings) schedule() string {
	root := cmp.Or(in.System, "/")
	for _, dir := range []string{"etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"} {
		for _, unit := range []string{"ftl-sync.timer", "ftl-agent.service"} {
			if found, err := filepath.Glob(filepath.Join(root, dir, "*.wants", unit)); err == nil && len(found) > 0 {
				return unit
			}
		}
	}
	tables := []string{filepath.Join(root, "etc/crontab")}
	for _, pattern := range []string{"etc/cron.d/*", "var/spool/cron/crontabs/*", "var/spool/cron/*"} {
		found, _ := filepath.Glob(filepath.Join(root, pattern))
		tables = append(tables, found...)
	}
	for _, table := range tables {
		text, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if words := strings.Fields(line); len(words) > 0 && !strings.HasPrefix(words[0], "#") && runsSync(words) {
				return "a line of " + strings.TrimPrefix(table, strings.TrimSuffix(root, "/"))
			}
		}
	}
	return ""
}

// runsSync reports whether a line of a crontab runs ftl sync.
func runsSync(words []string) bool {
	i := slices.IndexFunc(words, func(word string) bool { return filepath.Base(word) == "ftl" })
	return i >= 0 && slices.Contains(words[i:], "sync")
}

// farOff is how far the clocks may be apart before it is worth knowing, and tooFarOff before S3 may
// refuse requests.
const (
	farOff    = 30 * time.Second
	tooFarOff = 5 * time.Minute
)

func (e *examination) bucket(ctx context.Context, packages []revision.Package) {
	bucket, err := e.Open(ctx)
	if err != nil {
		e.fail(onBucket, err)
		return
	}
	e.identity(ctx, bucket)
	listing, err := bucket.List(ctx, store.ListOptions{Limit: 1})
	if err != nil {
		e.fail(onBucket, err)
		return
	}
	e.fine(onBucket, "it answers, and may be listed")
	e.clock(listing.Date)
	if _, _, err := bucket.Epoch(ctx, ""); err != nil {
		e.fail(onPermissions, err)
		return
	}
	e.fine(onPermissions, "this host may read")
	e.permissions(ctx, bucket)
	for _, pkg := range packages {
		e.blessed(ctx, bucket, pkg)
	}
}

func (e *examination) identity(ctx context.Context, bucket *catalog.Catalog) {
	account, err := store.AccountOf(ctx, bucket.Bucket)
	if err != nil {
		e.fail(onIdentity, err)
		return
	}
	if account.Key == "" {
		e.fine(onIdentity, "the bucket is a directory, used by %s", tree.AccountOf(os.Geteuid()))
		return
	}
	text := fmt.Sprintf("the key ****%s of %s", account.Key[max(0, len(account.Key)-4):], account.Source)
	if who, err := store.Identify(ctx, bucket.Bucket); err == nil {
		text = who.ARN + ", by " + text
	}
	e.fine(onIdentity, "%s", text)
}

func (e *examination) clock(bucket time.Time) {
	off := time.Since(bucket).Round(time.Second)
	const hint = "start its synchronisation: timedatectl set-ntp true"
	switch {
	case bucket.IsZero():
		e.say(ftl.Note, onClock, "", "the bucket does not tell its time")
	case off.Abs() > tooFarOff:
		e.say(ftl.Wrong, onClock, hint, "it is %v off the bucket's", off)
	case off.Abs() > farOff:
		e.say(ftl.Note, onClock, hint, "it is %v off the bucket's", off)
	default:
		e.fine(onClock, "as the bucket's")
	}
}

// permissions asks what this host may write. It comes to write its report, which it would write
// anyway, on a bucket that ignores conditions, and asks nothing more there.
func (e *examination) permissions(ctx context.Context, bucket *catalog.Catalog) {
	node := e.node()
	if e.unnamed != nil || node == catalog.NodeOf("") {
		return
	}
	report, err := e.makeReport(ctx, nil, e.recall(), 0).Encode()
	if err != nil {
		e.fail(onPermissions, err)
		return
	}
	mayReport, err := store.MayPut(ctx, bucket.Bucket, catalog.ReportKey(node), report)
	if errors.Is(err, store.ErrNoConditions) {
		e.say(ftl.Note, onConditions, "without them no blessing can use --at-once, and of two people who bless at once one may overwrite the other",
			"the bucket does not keep conditions of writes")
		return
	}
	if err != nil {
		e.fail(onPermissions, err)
		return
	}
	if mayReport {
		e.fine(onConditions, "the bucket keeps conditions of writes")
	}
	probes := catalog.ProbesOf(node)
	e.right("its report", "status --fleet does not see it", mayReport)
	for _, r := range []struct{ what, without, key string }{
		{"its votes", "it follows only blessings without waves", probes.Vote},
		{"slots", "it does not follow blessings with --at-once", probes.Slot},
	} {
		may, err := store.MayPut(ctx, bucket.Bucket, r.key, nil)
		if err != nil {
			e.fail(onPermissions, err)
			continue
		}
		e.right(r.what, r.without, may)
	}
	// That the user of a directory may write it says nothing.
	_, s3 := store.PlaceOf(bucket.Bucket)
	if may, err := store.MayPut(ctx, bucket.Bucket, probes.Marker, nil); s3 && err == nil && may {
		e.say(ftl.Note, onPermissions, "the least that it needs: ftl iam host", "whoever has the credentials of this host may also bless")
	}
}

// right says whether the host may write something, and what it does without.
func (e *examination) right(what, without string, may bool) {
	switch {
	case may:
		e.fine(onPermissions, "this host may write %s", what)
	case e.heartbeat() < 0:
		e.say(ftl.Note, onPermissions, "", "this host may not write %s: %s", what, without)
	default:
		e.say(ftl.Wrong, onPermissions, "the policy that it needs: ftl iam host; to go without reports: FTL_HEARTBEAT=0", "this host may not write %s: %s", what, without)
	}
}

// blessed looks whether this ftl knows all that was blessed.
func (e *examination) blessed(ctx context.Context, bucket *catalog.Catalog, pkg revision.Package) {
	marker, err := bucket.Marker(ctx, pkg)
	if err != nil {
		e.fail(onBucket, err)
		return
	}
	if active, ok := marker.Active(); ok {
		if err := active.Understood(); err != nil {
			e.fail(onBucket, err)
		}
	}
}
