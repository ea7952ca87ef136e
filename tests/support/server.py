"""A message server in plain Python: it shares nothing with the engine or its simulator.

usage: server.py PORT. It serves one connection, and takes commands on stdin, each answered by "done":
  whole FIRST END   sends the messages FIRST to END - 1
  torn NUMBER       sends the first half of a message's line
"""
import json
import socket
import sys


def line(number):
    message = {
        "messageId": f"python-{number}",
        "sourceServerId": "python",
        "destinationId": "table1",
        "messageType": "breakfast",
        "priority": 1,
        "payload": {"n": number, "dish": "café"},
    }
    return (json.dumps(message) + "\n").encode()


listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listening", flush=True)
connection, _ = listener.accept()
for command in sys.stdin:
    word, *numbers = command.split()
    if word == "whole":
        connection.sendall(b"".join(line(n) for n in range(*map(int, numbers))))
    else:
        whole = line(int(numbers[0]))
        connection.sendall(whole[: len(whole) // 2])
    print("done", flush=True)
