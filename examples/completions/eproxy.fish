# Completion of eproxy for fish. Made from the flags: BLESS=1 cargo test -p eproxy-cli words

complete -c eproxy -f
complete -c eproxy -n 'not __fish_seen_subcommand_from check explain' -l help -d 'display usage information'
complete -c eproxy -n 'not __fish_seen_subcommand_from check explain' -l host -x -d 'address to listen on'
complete -c eproxy -n 'not __fish_seen_subcommand_from check explain' -l port -x -d 'port to listen on'
complete -c eproxy -n 'not __fish_seen_subcommand_from check explain' -l tls-cert -r -F -d 'PEM file with a certificate and its chain'
complete -c eproxy -n 'not __fish_seen_subcommand_from check explain' -l tls-key -r -F -d 'PEM file with the key of the certificate that was given at the same place'
complete -c eproxy -n 'not __fish_seen_subcommand_from check explain' -l tls-self-signed -d 'speak TLS with a certificate that is made at the start and that nobody trusts, to try it out'
complete -c eproxy -n 'not __fish_seen_subcommand_from check explain' -l workers -x -d 'worker threads'
complete -c eproxy -n 'not __fish_seen_subcommand_from check explain' -l config -r -F -d 'do what this file says (docs/configuration.md), and read it again on SIGHUP'
complete -c eproxy -n 'not __fish_seen_subcommand_from check explain' -l to -x -d 'pass every request on to this URL, http://, https:// or h2c://HOST:PORT, or unix:/PATH'
complete -c eproxy -n 'not __fish_seen_subcommand_from check explain' -l forward -d 'pass requests on to wherever they say'
complete -c eproxy -n 'not __fish_seen_subcommand_from check explain' -l forward-allow -x -d 'with --forward, an address, network (10.1.0.0/16) or host name that may be reached, too'
complete -c eproxy -n 'not __fish_seen_subcommand_from check explain' -l forward-port -x -d 'with --forward, a port that CONNECT may reach, in place of 443'
complete -c eproxy -n 'not __fish_seen_subcommand_from check explain' -l forward-user -x -d 'with --forward, credentials NAME:PASSWORD that clients must show'
complete -c eproxy -n 'not __fish_seen_subcommand_from check explain' -l forward-parent -x -d 'with --forward, another forward proxy to pass everything on to'
complete -c eproxy -n 'not __fish_seen_subcommand_from check explain' -l head-timeout -x -d 'how long a client may take to send a request head'
complete -c eproxy -n 'not __fish_seen_subcommand_from check explain' -l upstream-timeout -x -d 'with --to or --forward, how long an upstream may take to begin its answer, and pause within it'
complete -c eproxy -n 'not __fish_seen_subcommand_from check explain' -l upstream -x -d 'URL that the demo\'s /proxy asks, http:// or https://'
complete -c eproxy -n 'not __fish_seen_subcommand_from check explain' -l stop-timeout -x -d 'how long what runs may take to come to its end when the program is stopped (SIGTERM, Ctrl-C) or replaced'
complete -c eproxy -n 'not __fish_seen_subcommand_from check explain' -l upgrade-timeout -x -d 'how long a new program may take to serve when this one is to be replaced by it (SIGUSR2), before it is given up'
complete -c eproxy -n 'not __fish_seen_subcommand_from check explain' -l log-level -x -a 'debug info warn error' -d 'debug, info, warn or error'
complete -c eproxy -n 'not __fish_seen_subcommand_from check explain' -l log-format -x -a 'pretty json' -d 'pretty or json'
complete -c eproxy -n 'not __fish_seen_subcommand_from check explain' -l health-check -x -d 'ask this URL, http:// or https://, and exit'
complete -c eproxy -n 'not __fish_seen_subcommand_from check explain' -l version -d 'print the version and exit'
complete -c eproxy -n 'not __fish_seen_subcommand_from check explain' -a check -d 'Says what is wrong with a configuration file, or how much there is in it. Nothing is started.'
complete -c eproxy -n 'not __fish_seen_subcommand_from check explain' -a explain -d 'Says what would become of a request by a configuration file, and why. Nothing is started, and nothing is sent.'

complete -c eproxy -n '__fish_seen_subcommand_from check' -l help -d 'display usage information'
complete -c eproxy -n '__fish_seen_subcommand_from check' -F

complete -c eproxy -n '__fish_seen_subcommand_from explain' -l help -d 'display usage information'
complete -c eproxy -n '__fish_seen_subcommand_from explain' -s H -l header -x -d 'a header field NAME'
complete -c eproxy -n '__fish_seen_subcommand_from explain' -F
