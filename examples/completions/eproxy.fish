# Completion of eproxy for fish. Made from the flags: BLESS=1 cargo test -p eproxy-cli words

complete -c eproxy -f
complete -c eproxy -n 'not __fish_seen_subcommand_from check' -l help -d 'display usage information'
complete -c eproxy -n 'not __fish_seen_subcommand_from check' -l host -x -d 'address to listen on'
complete -c eproxy -n 'not __fish_seen_subcommand_from check' -l port -x -d 'port to listen on'
complete -c eproxy -n 'not __fish_seen_subcommand_from check' -l tls-cert -r -F -d 'PEM file with a certificate and its chain'
complete -c eproxy -n 'not __fish_seen_subcommand_from check' -l tls-key -r -F -d 'PEM file with the key of the certificate that was given at the same place'
complete -c eproxy -n 'not __fish_seen_subcommand_from check' -l tls-self-signed -d 'speak TLS with a certificate that is made at the start and that nobody trusts, to try it out'
complete -c eproxy -n 'not __fish_seen_subcommand_from check' -l workers -x -d 'worker threads'
complete -c eproxy -n 'not __fish_seen_subcommand_from check' -l config -r -F -d 'do what this file says (docs/configuration.md), and read it again on SIGHUP'
complete -c eproxy -n 'not __fish_seen_subcommand_from check' -l to -x -d 'pass every request on to this URL, http://, https:// or h2c://HOST:PORT, or unix:/PATH'
complete -c eproxy -n 'not __fish_seen_subcommand_from check' -l forward -d 'pass requests on to wherever they say'
complete -c eproxy -n 'not __fish_seen_subcommand_from check' -l forward-allow -x -d 'with --forward, an address, network (10.1.0.0/16) or host name that may be reached, too'
complete -c eproxy -n 'not __fish_seen_subcommand_from check' -l forward-port -x -d 'with --forward, a port that CONNECT may reach, in place of 443'
complete -c eproxy -n 'not __fish_seen_subcommand_from check' -l forward-user -x -d 'with --forward, credentials NAME:PASSWORD that clients must show'
complete -c eproxy -n 'not __fish_seen_subcommand_from check' -l forward-parent -x -d 'with --forward, another forward proxy to pass everything on to'
complete -c eproxy -n 'not __fish_seen_subcommand_from check' -l head-timeout -x -d 'how long a client may take to send a request head'
complete -c eproxy -n 'not __fish_seen_subcommand_from check' -l upstream-timeout -x -d 'with --to or --forward, how long an upstream may take to begin its answer, and pause within it'
complete -c eproxy -n 'not __fish_seen_subcommand_from check' -l upstream -x -d 'URL that the demo\'s /proxy asks, http:// or https://'
complete -c eproxy -n 'not __fish_seen_subcommand_from check' -l log-level -x -a 'debug info warn error' -d 'debug, info, warn or error'
complete -c eproxy -n 'not __fish_seen_subcommand_from check' -l log-format -x -a 'pretty json' -d 'pretty or json'
complete -c eproxy -n 'not __fish_seen_subcommand_from check' -l health-check -x -d 'ask this URL, http:// or https://, and exit'
complete -c eproxy -n 'not __fish_seen_subcommand_from check' -l version -d 'print the version and exit'
complete -c eproxy -n 'not __fish_seen_subcommand_from check' -a check -d 'Says what is wrong with a configuration file, or how much there is in it. Nothing is started.'

complete -c eproxy -n '__fish_seen_subcommand_from check' -l help -d 'display usage information'
complete -c eproxy -n '__fish_seen_subcommand_from check' -F
