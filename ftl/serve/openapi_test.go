package serve

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/fleet"
)

type object = map[string]any

// operations are what the API can do: the path, what it is, its query, and what it answers with.
var operations = []struct {
	method, path, summary string
	query                 []string
	body, answer          any
	status                string
}{
	{"get", "/", "the fleet, as ftl status --fleet --json prints it", nil, nil, fleet.Overview{}, "200"},
	{"get", "/p/{package}", "a package, its history and its revisions", nil, nil, fleetPackage{}, "200"},
	{"get", "/p/{package}/{serial}", "a rollout, as ftl rollout show --json prints it", nil, nil, fleet.Rollout{}, "200"},
	{"get", "/p/{package}/do/{act}", "what an act would write: send it back with POST to confirm it", []string{"revision", "note", "waves", "now", "again"}, nil, offer{}, "200"},
	{"post", "/p/{package}/do/{act}", "does what was confirmed, or nothing: bless, jump-back, halt, resume, advance or finish", nil, order{}, fleet.Package{}, "202"},
	{"get", "/h", "hosts, each as ftl status --fleet --hosts --json prints it, 200 at most", []string{"package", "state", "label", "text", "sort", "after"}, nil, hostList{}, "200"},
	{"get", "/h/{host}", "a host", nil, nil, fleet.Host{}, "200"},
	{"get", "/log", "blessings, each as ftl log --master --json prints it, the newest first, 200 at most", []string{"package", "after"}, nil, entryList{}, "200"},
}

// A describer makes schemas of the types that are encoded.
type describer struct{ schemas object }

// spoken are types that encode themselves as something else than their fields.
var spoken = map[reflect.Type]object{
	reflect.TypeFor[time.Time]():        {"type": "string", "format": "date-time"},
	reflect.TypeFor[ftl.Time]():         {"type": []string{"string", "null"}, "format": "date-time"},
	reflect.TypeFor[catalog.Duration](): {"type": "number", "description": "seconds"},
}

func (d describer) of(t reflect.Type) object {
	if schema, ok := spoken[t]; ok {
		return schema
	}
	if t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return object{"anyOf": []any{d.of(t.Elem()), object{"type": "null"}}}
	case reflect.Slice:
		return object{"type": []string{"array", "null"}, "items": d.of(t.Elem())}
	case reflect.Map:
		return object{"type": []string{"object", "null"}, "additionalProperties": d.of(t.Elem())}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Struct:
		return d.ofStruct(t)
	}
	panic("what is " + t.String())
}

func (d describer) ofStruct(t reflect.Type) object {
	name := strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
	if t == reflect.TypeFor[fleet.Package]() {
		name = "FleetPackage"
	} else if t == reflect.TypeFor[fleetPackage]() {
		name = "Package"
	}
	reference := object{"$ref": "#/components/schemas/" + name}
	if _, known := d.schemas[name]; known {
		return reference
	}
	properties, required := object{}, []string{}
	d.schemas[name] = object{}
	d.fields(t, properties, &required)
	if t == reflect.TypeFor[catalog.Entry]() { // which adds the package, and has null for a time
		properties["package"], properties["at"] = object{"type": "string"}, spoken[reflect.TypeFor[ftl.Time]()]
		required = append(required, "package")
	}
	slices.Sort(required)
	schema := object{"type": "object", "properties": properties, "additionalProperties": false}
	if t == reflect.TypeFor[catalog.About]() {
		schema["type"] = []string{"object", "null"}
	}
	if len(required) > 0 {
		schema["required"] = required
	}
	d.schemas[name] = schema
	return reference
}

func (d describer) fields(t reflect.Type, properties object, required *[]string) {
	for field := range t.Fields() {
		tag, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case tag == "-":
		case field.Anonymous && tag == "":
			d.fields(field.Type, properties, required)
		case tag != "":
			properties[tag] = d.of(field.Type)
			if !strings.Contains(options, "omit") {
				*required = append(*required, tag)
			}
		}
	}
}

// document is openapi.json as the code has it.
func document() object {
	d := describer{object{}}
	problem := object{"description": "a problem, as RFC 9457 has it", "content": object{"application/problem+json": object{"schema": d.of(reflect.TypeFor[apiProblem]())}}}
	paths := object{}
	for _, o := range operations {
		answer := object{"description": "done", "content": object{"application/json": object{"schema": d.of(reflect.TypeOf(o.answer))}}}
		operation := object{"summary": o.summary, "responses": object{o.status: answer, "default": problem}}
		var parameters []any
		for _, part := range strings.Split(o.path, "/") {
			if name, ok := strings.CutPrefix(part, "{"); ok {
				parameters = append(parameters, object{"name": strings.TrimSuffix(name, "}"), "in": "path", "required": true, "schema": object{"type": "string"}})
			}
		}
		for _, name := range o.query {
			parameters = append(parameters, object{"name": name, "in": "query", "schema": object{"type": "string"}})
		}
		if len(parameters) > 0 {
			operation["parameters"] = parameters
		}
		if o.body != nil {
			operation["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": d.of(reflect.TypeOf(o.body))}}}
		}
		if paths[o.path] == nil {
			paths[o.path] = object{}
		}
		paths[o.path].(object)[o.method] = operation
	}
	return object{
		"openapi": "3.1.0",
		"info":    object{"title": "ftl serve", "version": "1", "description": "What a bucket says of a fleet, and what can be done about it. ftl help server tells more."},
		"servers": []any{object{"url": "api/v1"}},
		"paths":   paths,
		"components": object{
			"schemas":         d.schemas,
			"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer"}},
		},
		"security": []any{object{"token": []any{}}, object{}},
	}
}

// openapi.json says what the types and the handlers are.
func TestOpenAPI(t *testing.T) {
	text, err := json.MarshalIndent(document(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	if *update {
		if err := os.WriteFile("openapi.json", text, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, text) {
		t.Errorf("openapi.json is not what the types are; if they are right: go test ./ftl/serve -run TestOpenAPI -update\n%s", firstDifference(string(text), string(have)))
	}
	for path := range apiFuncs {
		if !slices.ContainsFunc(operations, func(o struct {
			method, path, summary string
			query                 []string
			body, answer          any
			status                string
		}) bool {
			return o.path == path
		}) {
			t.Errorf("%s is not described", path)
		}
	}
}

// What the API answers is what openapi.json says of it.
func TestAnswersAreDescribed(t *testing.T) {
	r := still(t, sample(t))
	text, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var described object
	if err := json.Unmarshal(text, &described); err != nil {
		t.Fatal(err)
	}
	for path, address := range map[string]string{
		"/": "/", "/p/{package}": "/p/my_site", "/p/{package}/{serial}": "/p/my_site/1795260001", "/h": "/h?state=rejected", "/h/{host}": "/h/zz-api-1", "/log": "/log?package=api",
	} {
		response, body := r.get(t, "/api/v1"+address, nil)
		if response.StatusCode != 200 || response.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: got %d", address, response.StatusCode)
		}
		var value any
		if err := json.Unmarshal([]byte(body), &value); err != nil {
			t.Fatal(err)
		}
		schema := at(described, "paths", path, "get", "responses", "200", "content", "application/json", "schema").(object)
		for _, violation := range check(described, schema, value, address) {
			t.Error(violation)
		}
	}
	for _, address := range []string{"/p/none", "/p/my_site/1", "/h/none", "/none", "/p/my_site/do/none"} {
		response, body := r.get(t, "/api/v1"+address, nil)
		var value any
		if err := json.Unmarshal([]byte(body), &value); err != nil {
			t.Fatalf("%s: %v: %s", address, err, body)
		}
		problems := check(described, object{"$ref": "#/components/schemas/ApiProblem"}, value, address)
		if response.StatusCode != 404 || response.Header.Get("Content-Type") != "application/problem+json" || len(problems) > 0 {
			t.Errorf("%s: got %d, %v", address, response.StatusCode, problems)
		}
	}
	if response, body := r.get(t, "/api/v1/openapi.json", nil); response.StatusCode != 200 || body != string(text) {
		t.Errorf("got %d", response.StatusCode)
	}
}

// A session's cookie gives no rights to programs.
func TestAPITakesNoCookies(t *testing.T) {
	r := start(t, Config{Who: func(r *http.Request) (Person, error) {
		_, err := r.Cookie("session")
		return Person{Looks: err == nil}, nil
	}})
	for path, code := range map[string]int{"/": 200, "/api/v1/": 401, "/metrics": 401} {
		if response, _ := r.get(t, path, func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "session", Value: "x"}) }); response.StatusCode != code {
			t.Errorf("%s: got %d, want %d", path, response.StatusCode, code)
		}
	}
}

func at(value any, path ...string) any {
	for _, name := range path {
		value = value.(object)[name]
	}
	return value
}

// check returns where a value is not what a schema says, as far as the schemas here go.
func check(document, schema object, value any, where string) []string {
	if reference, ok := schema["$ref"].(string); ok {
		schema = at(document, strings.Split(strings.TrimPrefix(reference, "#/"), "/")...).(object)
	}
	if all, ok := schema["anyOf"].([]any); ok {
		var violations []string
		for _, one := range all {
			if violations = check(document, one.(object), value, where); len(violations) == 0 {
				return nil
			}
		}
		return violations
	}
	kind := map[string]func(any) bool{
		"string": is[string], "boolean": is[bool], "number": is[float64], "array": is[[]any], "object": is[object],
		"integer": func(v any) bool { n, ok := v.(float64); return ok && n == float64(int64(n)) },
		"null":    func(v any) bool { return v == nil },
	}
	kinds, ok := schema["type"].([]any)
	if !ok {
		kinds = []any{schema["type"]}
	}
	if !slices.ContainsFunc(kinds, func(name any) bool { return kind[name.(string)](value) }) {
		return []string{fmt.Sprintf("%s is %v, and not of type %v", where, value, kinds)}
	}
	var violations []string
	switch v := value.(type) {
	case []any:
		for i, item := range v {
			violations = append(violations, check(document, schema["items"].(object), item, fmt.Sprintf("%s[%d]", where, i))...)
		}
	case object:
		properties, _ := schema["properties"].(object)
		for name, item := range v {
			property, known := properties[name].(object)
			if rest, ok := schema["additionalProperties"].(object); !known && ok {
				property, known = rest, true
			}
			if !known {
				violations = append(violations, where+"."+name+" is not described")
				continue
			}
			violations = append(violations, check(document, property, item, where+"."+name)...)
		}
		required, _ := schema["required"].([]any)
		for _, name := range required {
			if _, has := v[name.(string)]; !has {
				violations = append(violations, where+"."+name.(string)+" is missing")
			}
		}
	}
	return violations
}

func is[T any](value any) bool { _, ok := value.(T); return ok }

// What other software reads is checked once with a picture, so that a line that changes is seen.
func TestMetrics(t *testing.T) {
	r := still(t, sample(t))
	_, got := r.get(t, "/metrics", nil)
	for _, want := range []string{
		`ftl_fleet_hosts{package="my_site",state="rejected"} 1`, `ftl_fleet_hosts{package="api",state="silent"} 1`, `ftl_fleet_hosts{package="api",state="ok"} 2`,
		`ftl_fleet_rollout{package="my_site",state="halted"} 1`, `ftl_fleet_rollout{package="my_site",state="running"} 0`, "ftl_fleet_reporting_hosts 13",
		"ftl_fleet_silent_hosts 1", "ftl_fleet_oldest_report_seconds 10800", "ftl_serve_bucket_readable 1",
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("%s is missing in\n%s", want, got)
		}
	}
}
