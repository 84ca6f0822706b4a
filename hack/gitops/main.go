// Command gitops answers as the tools of GitOps do, with their own code or their own interpreter:
// kstatus (Helm 4, Flux, kpt), Flux's health check expressions, and Argo CD's Lua.
//
// Each line of standard input is a JSON object, each line of standard output the answer to it:
//
//	{"do": "kstatus", "object": {...}}                       {"status": "Failed", "message": "..."}
//	{"do": "cel", "object": {...}, "expressions": {...}}     {"status": "Current"}
//	{"do": "lua", "object": {...}, "script": "...", "now": 1} {"value": ...}
//
// An answer has "error" where the tool would show one.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	helmstatus "github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kstatus "sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

const lineLimit = 16 << 20 // bytes

type question struct {
	Do          string                           `json:"do"`
	Object      json.RawMessage                  `json:"object"`
	Expressions kustomize.HealthCheckExpressions `json:"expressions"`
	Script      string                           `json:"script"`
	Now         int64                            `json:"now"`
}

type answer struct {
	Status  string          `json:"status,omitempty"`
	Message string          `json:"message,omitempty"`
	Value   json.RawMessage `json:"value,omitempty"`
	Error   string          `json:"error,omitempty"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, lineLimit)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		found, err := reply(lines.Bytes())
		if err != nil {
			found.Error = err.Error()
		}
		if err := out.Encode(found); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func reply(line []byte) (answer, error) {
	var asked question
	if err := json.Unmarshal(line, &asked); err != nil {
		return answer{}, err
	}
	// As a client reads what the API server sends: whole numbers are int64.
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(asked.Object); err != nil {
		return answer{}, err
	}
	switch asked.Do {
	case "kstatus":
		return byKstatus(object)
	case "cel":
		return byFlux(object, &asked.Expressions)
	case "lua":
		return byLua(object, asked.Script, asked.Now)
	}
	return answer{}, fmt.Errorf("%q: kstatus, cel or lua", asked.Do)
}

// byKstatus asks the copy that Helm 4 and Flux use, and the one that it comes from.
func byKstatus(object *unstructured.Unstructured) (answer, error) {
	ofHelm, err := helmstatus.Compute(object)
	if err != nil {
		return answer{}, err
	}
	original, err := kstatus.Compute(object)
	if err != nil {
		return answer{}, err
	}
	if ofHelm.Status.String() != original.Status.String() {
		return answer{}, errors.New("kstatus of Helm: " + ofHelm.Status.String() +
			", of Kubernetes: " + original.Status.String())
	}
	return answer{Status: ofHelm.Status.String(), Message: ofHelm.Message}, nil
}

func byFlux(
	object *unstructured.Unstructured, expressions *kustomize.HealthCheckExpressions,
) (answer, error) {
	evaluator, err := cel.NewStatusEvaluator(expressions)
	if err != nil {
		return answer{}, err
	}
	found, err := evaluator.Evaluate(context.Background(), object)
	if err != nil {
		return answer{}, err
	}
	return answer{Status: found.Status.String()}, nil
}
