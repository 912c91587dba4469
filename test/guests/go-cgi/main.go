// A function in Go: net/http/cgi of its standard library, built for wasip1.
package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"os"
	"strconv"
)

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(response http.ResponseWriter, request *http.Request) {
		response.Header().Set("Content-Type", "text/plain")
		fmt.Fprintf(response, "%s %s host=%s query=%s header=%s\n",
			request.Method, request.URL.Path, request.Host, request.URL.RawQuery, request.Header.Get("X-Test"))
	})
	mux.HandleFunc("/echo", func(response http.ResponseWriter, request *http.Request) {
		response.Header().Set("Content-Type", "application/octet-stream")
		if _, err := io.Copy(response, request.Body); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	})
	mux.HandleFunc("/status", func(response http.ResponseWriter, request *http.Request) {
		code, err := strconv.Atoi(request.URL.Query().Get("code"))
		if err != nil {
			code = http.StatusBadRequest
		}
		response.WriteHeader(code)
	})
	mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) {
		panic("the panic that was asked for")
	})
	if err := cgi.Serve(mux); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
