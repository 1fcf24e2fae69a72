# Completion of eproxy for bash. Made from the flags: BLESS=1 cargo test -p eproxy-cli words

_eproxy_propose() {
    mapfile -t COMPREPLY < <(compgen "$@" -- "${COMP_WORDS[COMP_CWORD]}")
}

_eproxy() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command= at
    COMPREPLY=()
    for ((at = 1; at < COMP_CWORD; at++)); do
        case ${COMP_WORDS[at]} in
            --host|--port|--tls-cert|--tls-key|--workers|--config|--to|--forward-allow|--forward-port|--forward-user|--forward-parent|--head-timeout|--upstream-timeout|--upstream|--stop-timeout|--upgrade-timeout|--log-level|--log-format|--health-check) at=$((at + 1)) ;;
            check|explain) command=${COMP_WORDS[at]}; break ;;
        esac
    done
    case $command:$before in
        :--host) :; return ;;
        :--port) :; return ;;
        :--tls-cert) compopt -o filenames 2>/dev/null; _eproxy_propose -f; return ;;
        :--tls-key) compopt -o filenames 2>/dev/null; _eproxy_propose -f; return ;;
        :--workers) :; return ;;
        :--config) compopt -o filenames 2>/dev/null; _eproxy_propose -f; return ;;
        :--to) :; return ;;
        :--forward-allow) :; return ;;
        :--forward-port) :; return ;;
        :--forward-user) :; return ;;
        :--forward-parent) :; return ;;
        :--head-timeout) :; return ;;
        :--upstream-timeout) :; return ;;
        :--upstream) :; return ;;
        :--stop-timeout) :; return ;;
        :--upgrade-timeout) :; return ;;
        :--log-level) _eproxy_propose -W 'debug info warn error'; return ;;
        :--log-format) _eproxy_propose -W 'pretty json'; return ;;
        :--health-check) :; return ;;
        explain:-H|explain:--header) :; return ;;
    esac
    case $command in
        '')
            _eproxy_propose -W '--help --host --port --tls-cert --tls-key --tls-self-signed --workers --config --to --forward --forward-allow --forward-port --forward-user --forward-parent --head-timeout --upstream-timeout --upstream --stop-timeout --upgrade-timeout --log-level --log-format --health-check --version check explain' ;;
        check)
            [[ $word == -* ]] || { compopt -o filenames 2>/dev/null; _eproxy_propose -f; return; }
            _eproxy_propose -W '--help' ;;
        explain)
            [[ $word == -* ]] || { compopt -o filenames 2>/dev/null; _eproxy_propose -f; return; }
            _eproxy_propose -W '--help -H --header' ;;
    esac
}

complete -F _eproxy eproxy
