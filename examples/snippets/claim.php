<?php // Takes a token of a generic operation, uses it, and says so: php claim.php JOB_ID
if ($argc !== 2) {
    fwrite(STDERR, "usage: claim.php JOB_ID\n");
    exit(2);
}
function ask(string $method, string $claim, ?array $body = null): ?array {
    $headers = ['Authorization: Bearer ' . getenv('WORKER_API_KEY'), 'Content-Type: application/json'];
    $context = stream_context_create(['http' => [
        'method' => $method,
        'header' => $headers,
        'content' => $body === null ? '' : json_encode($body),
        'timeout' => 35,
    ]]);
    $text = file_get_contents(getenv('WORKER_URL') . "/v1/claims/$claim", false, $context);
    if ($text === false) {
        exit(1);
    }
    return json_decode($text, true);
}
$token = ask('PUT', $argv[1], ['kind' => 'token', 'wait' => 25]);
if ($token === null) {
    fwrite(STDERR, "nothing came\n");
    exit(3);
}
echo $token['value'], PHP_EOL; // … POST /v1/genericoperations with it …
ask('DELETE', $argv[1]);
