// Package httpapi is the HTTP door: JSON in, one call to a service of package gateway, JSON or a problem document out
// (RFC 9457). With package admin it is the only one that knows Echo.
//
//	api := httpapi.New(httpapi.Config{}, httpapi.Deps{Submitter: intake, Authenticator: auth, …})
//	err := api.Serve(ctx, listener) // until ctx ends; running requests are finished
//
// routes.go lists every route with its scope on one screen; openapi.json is the same contract for customers, and a test holds
// real answers against it. A request is authenticated, limited, read strictly (an unknown key, a doubled key or a wrong type is
// an error that names the field), handed on, and answered. The one hot path, POST /v1/messages, is decoded by a token reader
// straight into a gateway.Submission.
//
// The package decides nothing about a message and refuses to know intake, store, queue and İYS. It normalises no address: what
// the caller wrote is what the services get.
package httpapi
