// Package configs reads the process configuration: one YAML file, then the environment, then the bounds.
//
//	cfg, err := configs.Load("izinli.yaml", os.Environ())
//
// Every field is documented where it stands: meaning, unit, default, bounds. Each can also be set by an environment variable
// named after its path: queue.redis is IZINLI_QUEUE_REDIS, store.keyFile IZINLI_STORE_KEY_FILE. Lists are separated by commas;
// sections and lists of sections take YAML. A key or IZINLI_ variable that does not exist is an error, so that a slip of the
// pen cannot silently leave a default in force. izinli.yaml beside this file is the documented example.
//
// Here stands only what a process needs to start. Accounts, brands, credentials, operators and routes live in the store;
// Bootstrap fills an empty one. The package knows no other package of the program: it checks forms and bounds, not whether a
// brand or an operator makes sense.
package configs
