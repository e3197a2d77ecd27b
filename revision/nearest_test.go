package revision

import "testing"

func TestNearest(t *testing.T) {
	var packages []Package
	for _, name := range []string{"my_site", "my_tool", "api", "billing-worker"} {
		pkg, err := ParsePackage(name)
		if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, pkg)
	}
	for asked, want := range map[string]string{
		"my_sit": "my_site", "my_sitee": "my_site", "my_stie": "my_site", "my-site": "my_site", "My_Site": "my_site",
		"my_tol": "my_tool", "ap": "api", "apo": "api", "pai": "api", "billingworker": "billing-worker", "biling_woker": "billing-worker",
		"my_site": "", "web": "", "a": "", "other": "", "xyz": "", "billing": "",
	} {
		pkg, err := ParsePackage(asked)
		if err != nil {
			t.Fatal(err)
		}
		got, found := Nearest(pkg, packages)
		if got.String() != want || found != (want != "") {
			t.Errorf("%s: got %q, %v, want %q", asked, got, found, want)
		}
	}
}
