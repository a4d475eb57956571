# `palmd devices` and `palmd check` say what is there, and what to do where nothing is.
palmd devices >nothing
has 'no video devices: plug in a camera' nothing || fail "$(cat nothing)"
code=0
palmd check >missing || code=$?
equal 'the exit code of check without a camera' $code 69
has '^FAIL  source ' missing || fail "$(cat missing)"

plug node_types=0x101
palmd devices >there
has '^/dev/video0  vivid (vivid, platform:vivid-000)' there || fail "$(cat there)"
has 'would take   NV12 640x480.*`auto` takes this camera' there || fail "$(cat there)"
has 'not used     an output, not a camera' there || fail "$(cat there)"
palmd devices --json | tr ',' '\n' >json
has '"path":"/dev/video0"' json || fail "$(cat json)"

palmd check >found
equal 'what check finds wrong' "$(count '^FAIL' found)" 0
has '^ok    source  .*/dev/video0 (vivid): NV12 640x480' found || fail "$(cat found)"

echo 'camera.widht = 640' >config
code=0
palmd check --config config >wrong || code=$?
equal 'the exit code of check with a wrong key' $code 78
has '^FAIL  configuration .*`camera.widht`; did you mean `camera.width`' wrong || fail "$(cat wrong)"
