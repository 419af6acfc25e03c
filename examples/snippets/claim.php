<?php // Takes a token of a generic operation, uses it, and says so: php claim.php JOB_ID
function ask(string $method, string $claim, ?array $body = null): ?array {
    $headers = ['Authorization: Bearer ' . getenv('WORKER_API_KEY'), 'Content-Type: application/json'];
    $context = stream_context_create(['http' => [
        'method' => $method,
        'header' => $headers,
        'content' => $body === null ? '' : json_encode($body),
        'timeout' => 35,
    ]]);
    return json_decode(file_get_contents(getenv('WORKER_URL') . "/v1/claims/$claim", false, $context), true);
}
$token = ask('PUT', $argv[1], ['kind' => 'token', 'wait' => 25]);
if ($token !== null) {
    echo $token['value'], PHP_EOL; // … POST /v1/genericoperations with it …
    ask('DELETE', $argv[1]);
}
