package revision

// Nearest returns the package whose name is most like the one that was asked for, and false where
// none is like it: a typo is one letter too many, too few or wrong, or two that are swapped, and at
// most one for every three letters.
func Nearest(asked Package, packages []Package) (Package, bool) {
	names := make([]string, len(packages))
	for i, pkg := range packages {
		names[i] = pkg.name
	}
	name, found := NearestName(asked.name, names)
	return Package{name}, found
}

// NearestName is Nearest for names of any kind.
func NearestName(asked string, names []string) (string, bool) {
	nearest, best := "", max(1, len(asked)/3)+1
	for _, name := range names {
		if d := distance(asked, name); d > 0 && d < best {
			nearest, best = name, d
		}
	}
	return nearest, nearest != ""
}

// distance counts the typos that make b of a.
func distance(a, b string) int {
	// rows[i][j] is the distance of the first i bytes of a and the first j of b.
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			wrong := 1
			if a[i-1] == b[j-1] {
				wrong = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+wrong)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
